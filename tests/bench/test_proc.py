"""What is read from /proc: names that try to mislead, processes that end, and the whole family of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import proc

# proc(5): pid (comm) state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime
STAT = "4711 (a) R 1 (x) S 42 4711 4711 0 -1 4194560 120 0 0 0 {} 20 0 3 0 99 0 0"

TICKS = os.sysconf("SC_CLK_TCK")


def test_a_name_with_brackets_misleads_nobody() -> None:
    assert proc.parent_in(STAT.format("7 3 0 0")) == 42


def test_cpu_time_has_user_system_and_awaited_children() -> None:
    assert proc.cpu_s_in(STAT.format("7 3 20 10")) == pytest.approx(40 / TICKS)


def test_threads_are_added_up() -> None:
    assert proc.threads_cpu_s(["1500000000 17 3\n", "500000000 0 1\n"]) == 2


@pytest.mark.parametrize(
    ("status", "expected"), [("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n", 2048 * 1024), ("Name:\tx\n", 0)]
)
def test_resident_memory(status: str, expected: int) -> None:
    assert proc.resident_bytes_in(status) == expected


def test_descendants_are_children_and_their_children() -> None:
    assert proc.descendants(1, {2: 1, 3: 2, 4: 3, 5: 9, 6: 5}) == {1, 2, 3, 4}


def test_what_has_ended_cannot_be_read(tmp_path: Path) -> None:
    assert proc.read(tmp_path / "gone" / "stat") is None


def test_work_of_this_process_is_seen() -> None:
    before = proc.process_cpu_s(os.getpid())
    sum(number * number for number in range(4_000_000))
    assert proc.process_cpu_s(os.getpid()) > before
    assert proc.resident_bytes(os.getpid()) > 1_000_000


def test_work_of_a_child_that_is_still_there_is_seen() -> None:
    script = "sum(range(20_000_000)); print('done', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        assert child.pid in proc.tree(os.getpid())
        own, childs = proc.process_cpu_s(os.getpid()), proc.process_cpu_s(child.pid)
        assert childs > 0.1
        # A thread of ours that ends meanwhile takes its last ticks along.
        assert proc.cpu_s(os.getpid()) >= own + childs - 0.1
        child.communicate(b"\n", timeout=10)
