"""A turn in the service's own words: sentinel and account are added, the answer is passed on untouched (AU-59).

Refusals in JSON are passed on as they are when no other account can be tried. Pages are not, nor is the refusal of a
pool account's token, which is not the caller's to mend.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from core.chatgpt.session import EVENT_STREAM, Session
from core.chatgpt.sessions import Sessions
from core.contracts import Context
from core.errors import UpstreamDenied, UpstreamError
from core.services import RawAnswer, RawTurn
from core.transport import Reply, Transport
from core.upstreams.chatgpt_web.sentinel import TURNSTILE_HEADER, requirements
from core.wire.chatgpt_web.errors import unexpected_answer
from core.wire.chatgpt_web.raw import conversation_of, with_first_role

PATH = "/conversation"
PASSED_ON = ("content-type", "cache-control", "retry-after")


@asynccontextmanager
async def answered(
    sessions: Sessions, turn: RawTurn, context: Context, transport: Transport
) -> AsyncGenerator[RawAnswer, None]:
    """Give the answer of the first account that can, or the last refusal. Raises `UpstreamError`."""
    affinity = conversation_of(turn.body) or context.id
    body = with_first_role(turn.body)
    refusals: dict[UpstreamError, RawAnswer] = {}
    async with AsyncExitStack() as opened:

        async def attempt(session: Session) -> RawAnswer:
            token = context.forward.get(TURNSTILE_HEADER)
            headers = await requirements(session, transport.user_agent, token)
            call = session.request("POST", PATH, body, headers, EVENT_STREAM)
            return await _passed_on(await opened.enter_async_context(call), session, refusals)

        try:
            answer = await _first(sessions, turn, context, affinity, transport, attempt)
        except UpstreamError as error:
            if error not in refusals:
                raise
            answer = refusals[error]
        yield answer


async def _first(
    sessions: Sessions,
    turn: RawTurn,
    context: Context,
    affinity: str,
    transport: Transport,
    attempt: Callable[[Session], Awaitable[RawAnswer]],
) -> RawAnswer:
    """Ask the account that the caller named, else the first of those they may use that can answer."""
    if turn.account is None:
        return await sessions.first(context, affinity, transport, attempt)
    session = sessions.keeper(turn.account, context.principal, transport)
    try:
        return await attempt(await sessions.ready(session))
    except UpstreamError as error:
        sessions.learn(session, error)
        raise


async def _passed_on(reply: Reply, session: Session, refusals: dict[UpstreamError, RawAnswer]) -> RawAnswer:
    """Return a success; raise a refusal, having noted the words of one that may be passed on."""
    kind = reply.headers.get("content-type", "")
    if reply.status == 200:
        if "text/html" in kind:
            raise unexpected_answer(reply.status, reply.headers, await reply.read())
        return _answer(reply, session, reply)
    body = await reply.read()
    error = session.meaning(reply, body)
    if "json" in kind and (session.owned or not isinstance(error, UpstreamDenied)):
        refusals[error] = _answer(reply, session, _once(body))
    raise error


def _answer(reply: Reply, session: Session, chunks: AsyncIterator[bytes]) -> RawAnswer:
    headers = {name: value for name, value in reply.headers.items() if name in PASSED_ON}
    return RawAnswer(reply.status, headers, chunks, session.account.digest if session.account else None)


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data
