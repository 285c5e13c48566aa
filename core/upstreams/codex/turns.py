"""One turn at the Codex service, and the list of its models: what is sent, and what its answers mean."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from msgspec import Struct

from core.accounts import default_workspace, jwt_claims
from core.chatgpt.session import EVENT_STREAM, Session
from core.contracts import Exchange
from core.errors import UpstreamDenied, UpstreamError
from core.events import Event
from core.settings import CODEX
from core.transport import Reply
from core.upstreams.codex.refusals import STALE_REASONING, failure, refusal
from core.wire.openai_responses.build import ENCRYPTED, build_request
from core.wire.openai_responses.decode import ResponsesDecoder

ORIGINATOR = "isthmus"

CLIENT_VERSION = "0.144.1"
"""The service tells the models that a client of this version can use: the one whose calls these follow (10.6)."""

_LIMITS = "x-codex-"


class _Model(Struct, frozen=True):
    slug: str
    visibility: str = "list"


class _Models(Struct, frozen=True):
    models: list[_Model]


async def answer(exchange: Exchange, conversation: str, session: Session) -> AsyncGenerator[list[Event], None]:
    """Yield the answer of one account; reasoning that it does not know is left behind at a second try."""
    started = False
    try:
        async with aclosing(_attempt(exchange, conversation, session, reasoned=True)) as batches:
            async for events in batches:
                started = True
                yield events
        return
    except UpstreamError as error:
        if started or error.code != STALE_REASONING:
            raise
    async with aclosing(_attempt(exchange, conversation, session, reasoned=False)) as batches:
        async for events in batches:
            yield events


async def _attempt(
    exchange: Exchange, conversation: str, session: Session, *, reasoned: bool
) -> AsyncGenerator[list[Event], None]:
    built = build_request(exchange, "codex", conversation, reasoned)
    ignored = built.ignored if reasoned else (*built.ignored, ENCRYPTED)
    headers = {"session_id": conversation, **_headers(session)}
    async with session.request("POST", "/codex/responses", built.body, headers, EVENT_STREAM) as reply:
        if reply.status != 200 or EVENT_STREAM not in reply.headers.get("content-type", EVENT_STREAM):
            raise _refusal(session, reply, await reply.read())
        decoder = ResponsesDecoder(CODEX, failure, ignored, _notes(reply.headers))
        async for data in reply:
            if events := decoder.feed(data):
                yield events
            if decoder.over:
                break
        if events := decoder.close():
            yield events
        await reply.drain()


async def listed(session: Session) -> Sequence[str]:
    path = f"/codex/models?client_version={CLIENT_VERSION}"
    answer = await session.fetch("GET", path, _Models, headers=_headers(session))
    return [model.slug for model in answer.models if model.visibility == "list"]


def _headers(session: Session) -> dict[str, str]:
    """Return who calls, and the workspace, which this service wants to be told always."""
    account = session.account
    if account is None:
        raise RuntimeError("Codex is called for accounts only")
    claims = jwt_claims((session.bearer or account.token).reveal())
    workspace = account.account_id or default_workspace(claims)
    named = {"chatgpt-account-id": workspace} if workspace else {}
    return {"originator": ORIGINATOR, **named}


def _refusal(session: Session, reply: Reply, body: bytes) -> UpstreamError:
    error = refusal(reply.status, reply.headers, body)
    if isinstance(error, UpstreamDenied) and session.owned and reply.status == 401:
        error.status = 401
    return error


def _notes(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return what the service says of the account's limits (10.5), for the client's headers `x-isthmus-codex-...`."""
    return tuple((name.removeprefix("x-"), value) for name, value in headers.items() if name.startswith(_LIMITS))
