"""Vercel's word on when a request ends counts on Vercel, and nowhere else."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from msgspec import Struct

from api.deadline import PLATFORM_MARGIN_S, deadline
from core.settings import Settings
from tests.api.layers import http_scope

pytestmark = pytest.mark.anyio

TURN_S = 600.0
SOON_S = 60.0


class Case(Struct, frozen=True):
    """`told_s`: what the runtime says, in seconds from now; `expected_s`: how long the answer may take."""

    id: str
    environ: dict[str, str]
    told_s: float | None
    expected_s: float


VERCEL = {"VERCEL": "1"}
CASES = [
    Case("the runtime's deadline counts, less the time for an end", VERCEL, SOON_S, SOON_S - PLATFORM_MARGIN_S),
    Case("a sooner setting wins", VERCEL | {"TURN_TIMEOUT_SECONDS": "5"}, SOON_S, 5),
    Case("a runtime that says nothing leaves the setting", VERCEL, None, TURN_S),
    Case("a deadline in the past is over", VERCEL, -10, -10 - PLATFORM_MARGIN_S),
    Case("on another machine the runtime is not asked", {}, SOON_S, TURN_S),
    Case("on Lambda the runtime is not asked", {"AWS_LAMBDA_FUNCTION_NAME": "api"}, SOON_S, TURN_S),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_deadline_of_vercel(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    told = None if case.told_s is None else datetime.now(UTC) + timedelta(seconds=case.told_s)
    install(monkeypatch, get_deadline=lambda: told)
    assert left(case.environ) == pytest.approx(case.expected_s, abs=1)


async def test_an_older_runtime_that_cannot_tell_leaves_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert left(VERCEL) == pytest.approx(TURN_S, abs=1)


async def test_a_client_cannot_tell_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime takes its header off each request; one that is seen here has come another way."""
    install(monkeypatch, get_deadline=lambda: None)
    assert left(VERCEL, (b"x-vercel-internal-deadline", b"2020-01-01T00:00:00Z")) == pytest.approx(TURN_S, abs=1)


def install(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """Put a stand-in where Vercel puts its runtime, which needs Python 3.12."""
    runtime = ModuleType("vercel_runtime")
    vars(runtime).update(functions)
    monkeypatch.setitem(sys.modules, "vercel_runtime", runtime)


def left(environ: dict[str, str], *headers: tuple[bytes, bytes]) -> float:
    """Return how many seconds an answer may take that begins now."""
    scope = http_scope(headers=list(headers))
    return deadline(scope, Settings.from_env(environ)) - asyncio.get_running_loop().time()
