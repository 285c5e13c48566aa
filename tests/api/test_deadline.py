"""By when an answer must have ended, by what a platform says and by what a client only claims."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec import Struct

from api.deadline import PLATFORM_MARGIN_S, deadline
from core.settings import Settings
from tests.api.layers import http_scope

pytestmark = pytest.mark.anyio

LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "isthmus", "TURN_TIMEOUT_SECONDS": "600"}
ADAPTER = LAMBDA | {"AWS_LWA_INVOKE_MODE": "response_stream"}


class Context:
    """What Mangum puts in the scope."""

    def __init__(self, left_s: float) -> None:
        self._left_s = left_s

    def get_remaining_time_in_millis(self) -> int:
        return int(self._left_s * 1000)


def header(value: str) -> dict[str, Any]:
    return {"headers": [(b"x-amzn-lambda-context", value.encode())]}


def in_context(seconds: float) -> dict[str, Any]:
    return {"aws.context": Context(seconds)}


def in_header(seconds: float) -> dict[str, Any]:
    return header(f'{{"request_id":"1","deadline":{int((time.time() + seconds) * 1000)},"env_config":{{}}}}')


class Case(Struct, frozen=True):
    id: str
    environ: dict[str, str]
    scope: Callable[[], dict[str, Any]]
    limit_s: float


CASES = [
    Case("the setting holds where no platform says anything", {"TURN_TIMEOUT_SECONDS": "9"}, dict, 9),
    Case("Lambda's context is sooner", LAMBDA, partial(in_context, 29), 29 - PLATFORM_MARGIN_S),
    Case("the setting is sooner", LAMBDA, partial(in_context, 900), 600),
    Case(
        "the adapter's header is believed behind the adapter", ADAPTER, partial(in_header, 300), 300 - PLATFORM_MARGIN_S
    ),
    Case("without the adapter it is a client's word", LAMBDA, partial(in_header, 5), 600),
    Case("off Lambda it is a client's word", {"AWS_LWA_INVOKE_MODE": "response_stream"}, partial(in_header, 5), 600),
    Case("a header that is no JSON says nothing", ADAPTER, partial(header, "soon"), 600),
    Case("a header without a deadline says nothing", ADAPTER, partial(header, "{}"), 600),
    Case("a deadline in the past is over", ADAPTER, partial(in_header, -10), -10 - PLATFORM_MARGIN_S),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_soonest_limit_that_can_be_trusted_holds(case: Case) -> None:
    now = asyncio.get_running_loop().time()
    settings = Settings.from_env(case.environ)
    assert deadline(http_scope(**case.scope()), settings) - now == pytest.approx(case.limit_s, abs=2)
