"""The simulated vendor world as one Starlette app: every route on one screen."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.loopback import account, control, conversation, sentinel_calls
from core.loopback.calls import CallLog
from core.loopback.gate import Gate
from core.loopback.refusals import Refused
from core.loopback.world import World

_ID = "{conversation_id}"

_BOTH = [
    ("POST", "/sentinel/chat-requirements", sentinel_calls.one_step),
    ("POST", "/sentinel/chat-requirements/prepare", sentinel_calls.prepare),
    ("POST", "/sentinel/chat-requirements/finalize", sentinel_calls.finalize),
    ("POST", "/f/conversation/prepare", conversation.prepare_turn),
    ("POST", "/f/conversation", conversation.take_turn),
    ("POST", "/conversation", conversation.take_turn),
    ("POST", "/f/conversation/resume", conversation.resume_turn),
    ("POST", "/conversation/init", account.conversation_init),
    ("GET", "/models", account.models),
]
_SIGNED_IN = [
    ("GET", f"/conversation/{_ID}", conversation.get_conversation),
    ("PATCH", f"/conversation/{_ID}", conversation.change_conversation),
    ("GET", f"/conversation/{_ID}/stream_status", conversation.get_stream_status),
    ("POST", f"/conversation/{_ID}/async-status", conversation.mark_seen),
    ("GET", "/conversations", conversation.list_conversations),
    ("GET", "/tasks", conversation.list_tasks),
    ("GET", "/me", account.me),
    ("GET", "/accounts/check/v4-2023-04-27", account.accounts_check),
]
_OUTSIDE = [
    ("GET", "/", account.home),
    ("GET", "/api/auth/session", account.session),
    ("GET", "/loopback/log", control.read_log),
    ("POST", "/loopback/reset", control.reset),
    ("POST", "/loopback/script", control.add_rule),
]


def create_loopback(
    captures: Path | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Return a simulated vendor world of its own.

    `captures` is the folder whose `*.sse` files a directive may replay. `clock` gives Unix seconds and
    `sleep` waits between deltas; tests pass their own.
    """
    world = World(captures, clock, sleep)
    routes = [
        *(Route(f"/backend-api{path}", call, methods=[method]) for method, path, call in _BOTH + _SIGNED_IN),
        *(Route(f"/backend-anon{path}", call, methods=[method]) for method, path, call in _BOTH),
        *(Route(path, call, methods=[method]) for method, path, call in _OUTSIDE),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(CallLog, calls=world.calls), Middleware(Gate, world=world)],
        exception_handlers={Refused: _refuse},
    )
    app.state.world = world
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()
