"""What the kernel says of processes, read from /proc: CPU time and resident memory of a process and its descendants."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def stat_fields(text: str) -> list[str]:
    """Return the fields of a `stat` file from the state on; the name before them may hold anything (proc(5))."""
    return text[text.rindex(")") + 2 :].split()


def parent_in(stat: str) -> int:
    return int(stat_fields(stat)[1])


def cpu_s_in(stat: str) -> float:
    """Return the CPU seconds of a process, ended threads and awaited children included, in steps of a tick."""
    return sum(map(int, stat_fields(stat)[11:15])) / TICKS_PER_S


def threads_cpu_s(schedstats: Iterable[str]) -> float:
    """Return the CPU seconds of living threads, to the nanosecond."""
    return sum(int(text.split()[0]) for text in schedstats) / 1e9


def resident_bytes_in(status: str) -> int:
    """Return `VmRSS` of a `status` file; 0 for a process that is ending."""
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def descendants(pid: int, parents: Mapping[int, int]) -> set[int]:
    """Return the process and all that stem from it, given each process's parent."""
    found, added = {pid}, {pid}
    while added:
        added = {child for child, parent in parents.items() if parent in added} - found
        found |= added
    return found


def read(path: Path) -> str | None:
    """Return a file's text, `None` when its process has ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(pid: int) -> set[int]:
    stats = {int(each.name): read(each / "stat") for each in PROC.iterdir() if each.name.isdigit()}
    return descendants(pid, {number: parent_in(stat) for number, stat in stats.items() if stat})


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants have spent, user and system."""
    return sum(process_cpu_s(member) for member in tree(pid))


def process_cpu_s(pid: int) -> float:
    # The threads' figures are exact but end with the thread; the process's keeps them, in steps of 10 ms, rounded down.
    stat = read(PROC / str(pid) / "stat")
    texts = [read(each / "schedstat") for each in (PROC / str(pid) / "task").glob("*")]
    return max(cpu_s_in(stat) if stat else 0.0, threads_cpu_s(filter(None, texts)))


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants; what they share is counted in each."""
    return sum(resident_bytes_in(read(PROC / str(member) / "status") or "") for member in tree(pid))
