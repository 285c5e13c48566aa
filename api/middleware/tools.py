"""The layer that gives tools and structured output to an upstream that has neither.

It lowers the request, lifts the answer, and asks the upstream again while that can still help. All judgement is in
`core.tools`, which is loaded when a request first needs it; here is only the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import EXTENSION, with_exchange
from api.handlers import gateway_of
from api.tool_log import ToolLog
from core.accounts import Principal
from core.cleanup import remove_conversation
from core.contracts import Capabilities, Exchange, Selective
from core.events import Event
from core.request import OutputFormat
from core.settings import Settings
from core.tools.wants import has_format, has_tools

if TYPE_CHECKING:
    from core.tools.lifter import Lifter


class Tools:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.log = ToolLog(settings.debug_tool_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._allowed(scope["exchange"])
        if _is_native(exchange):
            await self.app(with_exchange(scope, exchange), receive, send)
            return
        await self._emulated(exchange, scope, receive, send)

    async def _emulated(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        from core.tools.lifter import Lifter
        from core.tools.protocol import ask_again, lower

        request, plan = lower(exchange.request, _salt(exchange.principal))
        lifter = Lifter(plan, exchange.id, exchange.request.stream, self.settings.refusal_retries)
        attempt = 0
        try:
            while True:
                inner = structs.replace(exchange, id=f"{exchange.id}.{attempt}", request=request, body=b"")
                try:
                    await self._attempt(with_exchange(scope, inner), receive, send, lifter)
                finally:
                    self.log.write(scope.get("request_id"), attempt, lifter)
                if lifter.again is None:
                    return
                request = ask_again(request, plan, lifter.again)
                lifter.restart()
                attempt += 1
        finally:
            await _remove_strays(lifter, scope, exchange)

    async def _attempt(self, scope: Scope, receive: Receive, send: Send, lifter: Lifter) -> None:
        async def pass_on(events: Sequence[Event]) -> None:
            if lifter.finished:
                await _remove_strays(lifter, scope, scope["exchange"])
            if events:
                await send({"type": EXTENSION, "events": events})

        async def lift(message: Message) -> None:
            if message["type"] != EXTENSION:
                await send(message)
                return
            await pass_on(lifter.feed(message["events"]))
            if lifter.enough:
                raise _Enough

        try:
            await self.app(scope, receive, lift)
        except _Enough:
            if lifter.error is not None:
                raise lifter.error from None
        if lifter.again is None:
            await pass_on(lifter.close())

    def _allowed(self, exchange: Exchange) -> Exchange:
        """Leave the tools out if emulation is off, and let the upstream name them among what it ignores (AU-28)."""
        request = exchange.request
        if self.settings.tool_calling_enabled or not request.tools or _capabilities(exchange).tools:
            return exchange
        automatic = structs.replace(request.tool_choice, mode="auto", name=None)
        ignored = (*request.ignored, "tools")
        changed = structs.replace(request, tools=(), tool_choice=automatic, ignored=ignored)
        return structs.replace(exchange, request=changed, body=b"")


class _Enough(Exception):
    """This attempt has given all that is wanted of it."""


async def _remove_strays(lifter: Lifter, scope: Scope, exchange: Exchange) -> None:
    """Remove from the account what attempts have left there that the client has no id for."""
    for turn in lifter.strays():
        forget = exchange.target.upstream.forget
        await remove_conversation(partial(forget, turn, exchange.principal, gateway_of(scope).transport))


def _is_native(exchange: Exchange) -> bool:
    """Say whether the upstream can do by itself all that the request asks for."""
    able, request = _capabilities(exchange), exchange.request
    formats = able.structured_output and _honours(exchange, request.output_format)
    return (able.tools or not has_tools(request)) and (formats or not has_format(request))


def _honours(exchange: Exchange, wanted: OutputFormat | None) -> bool:
    upstream = exchange.target.upstream
    return wanted is None or not isinstance(upstream, Selective) or upstream.honours(wanted, exchange)


def _capabilities(exchange: Exchange) -> Capabilities:
    return exchange.target.upstream.capabilities(exchange.target.model)


def _salt(principal: Principal) -> str:
    """Return what only the caller and the gateway know: the key, or what stands for it."""
    account = principal.account.digest if principal.account is not None else ""
    return f"{principal.key_digest}/{account}/{principal.device_id or ''}"
