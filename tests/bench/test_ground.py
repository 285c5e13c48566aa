"""A run's ground and time: everyone takes turns, nobody eats the others' time, and what does not start is told."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from bench.candidates import CANDIDATES, Peers
from bench.children import NotServing, free_port, running
from bench.ground import Clock, Ground, LoadFailed, ground
from bench.legs import LEGS, Leg, job
from bench.order import Order
from bench.sections.cpu import Load, Sizes, fitting

NO_PEERS = Peers(None, None)
HERE = ("relay", "bare", "isthmus")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The real candidates that this project brings, as child processes; about a second."""
    with ground((*HERE, "litellm"), tmp_path_factory.mktemp("ground"), NO_PEERS) as started:
        yield started


OF_OURS = [leg for leg in LEGS.values() if leg.candidate in ("upstream", *HERE)]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("leg", OF_OURS, ids=lambda leg: leg.name)
def test_every_leg_brings_what_was_ordered(place: Ground, leg: Leg, stream: bool) -> None:
    run = place.drive(leg, lambda port: job(leg, port, Order(130, 0, 3), 2, 4, stream=stream, limit_s=20))
    assert run.report.requests == 4
    assert run.cpu_s > 0


def test_a_peer_that_is_not_installed_is_told(place: Ground) -> None:
    assert "make bench-peers" in place.absent["litellm"]
    assert place.there([LEGS["litellm"], LEGS["web"]]) == [LEGS["web"]]


def test_a_refused_load_says_why(place: Ground) -> None:
    astray = structs.replace(LEGS["web"], path="/nowhere")
    with pytest.raises(LoadFailed, match="status 404"):
        place.drive(astray, lambda port: job(astray, port, Order(3), 1, 1, limit_s=20))


def test_a_child_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with (
        pytest.raises(NotServing, match="no such thing"),
        running(command, free_port(), {}, tmp_path / "log"),
    ):
        pass


def test_a_child_that_ignores_the_request_to_end_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.children.END_LIMIT_S", 0.1)
    port = free_port()
    script = (
        f"import signal, socket; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"server = socket.create_server(('127.0.0.1', {port})); signal.pause()"
    )
    with running([sys.executable, "-c", script], port, {}, tmp_path / "log") as child:
        folder = Path(f"/proc/{child.pid}")
        assert folder.exists()
    assert not folder.exists()


def test_candidates_take_turns() -> None:
    seen: list[tuple[str, int]] = []
    clock = Clock(60, {"all": 1})
    missing = clock.in_turn("ab", 2, time.monotonic() + 60, lambda key, number: seen.append((key, number)))
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert missing == 0


def test_a_section_whose_time_is_over_still_measures_everyone_once() -> None:
    seen: list[str] = []
    Clock(60, {"all": 1}).in_turn("ab", 5, time.monotonic(), lambda key, _: seen.append(key))
    assert seen == ["a", "b"]


def test_a_run_whose_time_is_over_tells_what_is_missing() -> None:
    seen: list[str] = []
    assert Clock(0, {"all": 1}).in_turn("abc", 5, time.monotonic(), lambda key, _: seen.append(key)) == 3
    assert seen == []


def test_what_is_slow_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.ground.SLOW_S", -1)
    seen: list[str] = []
    Clock(60, {"all": 1}).in_turn("ab", 3, time.monotonic() + 60, lambda key, _: seen.append(key))
    assert seen == ["a", "b"]


def test_sections_share_the_time_that_is_left() -> None:
    clock, now = Clock(100, {"first": 1, "second": 3}), time.monotonic()
    assert clock.section_end("first") - now == pytest.approx(25, abs=1)
    assert clock.section_end("second") - now == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("per_request_s", "expected"),
    [(0.01, Sizes(20, 150)), (0.1, Sizes(20, 20)), (2.0, Sizes(3, 3)), (100.0, Sizes(1, 1))],
    ids=[
        "a fast one gets many requests",
        "at least one for each stream",
        "a slow one gets fewer streams",
        "at least one",
    ],
)
def test_a_load_is_fitted_to_the_time(per_request_s: float, expected: Sizes) -> None:
    assert fitting(Load("flat", "flat", True, 20, Order(4000)), per_request_s, 1.5) == expected


def test_requests_in_flight_stay_in_flight_however_slow() -> None:
    assert fitting(Load("request", "request", False, 256, Order(10)), 0.5, 1.5) == Sizes(256, 256)


def test_every_leg_leads_through_a_candidate() -> None:
    assert {leg.candidate for leg in LEGS.values()} - {"upstream"} <= set(CANDIDATES)
    assert {leg.bare for leg in LEGS.values()} <= set(LEGS)
