"""ChatGPT's accounts over the service behind Codex CLI: the Responses format, with function calling of its own.

The gateway says who it is: its own name as `User-Agent` and `originator`. What the service refuses is left out and
named (chatgpt-web reference, section 10).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from core.accounts import Pool, Principal
from core.affinity import affinity
from core.contracts import Capabilities, Exchange, Recalled
from core.errors import NotFound
from core.events import Event
from core.model_list import ModelList
from core.request import Turn
from core.settings import CODEX, Settings
from core.transport import Transport

if TYPE_CHECKING:
    from core.chatgpt.session import Session
    from core.chatgpt.sessions import Sessions
    from core.chatgpt.tokens import Tokens

_CAPABILITIES = Capabilities(True, True, frozenset({"parallel_tool_calls", "reasoning"}))


class Codex:
    """The pool's accounts, or a caller's own. What is learnt of an account here says nothing of it at ChatGPT Web."""

    name = CODEX

    def __init__(self, settings: Settings, pool: Pool, tokens: Callable[[], Tokens | None] = lambda: None) -> None:
        self._settings = settings
        self._pool = pool
        self._tokens = tokens
        self._models = ModelList()
        self._is_wanted = settings.chatgpt_upstream != "web"

    @cached_property
    def _sessions(self) -> Sessions:
        from core.chatgpt.sessions import Sessions

        return Sessions(self._settings, self._pool, tokens=self._tokens())

    def capabilities(self, model: str) -> Capabilities:
        return _CAPABILITIES

    async def model_names(self, transport: Transport) -> Sequence[str]:
        """Return the models; none while the operator has not chosen this service, which then is not asked unasked."""
        if not self._is_wanted:
            return ()

        async def ask() -> Sequence[str] | None:
            from core.upstreams.codex.turns import listed

            session = await self._sessions.any(transport)
            return None if session is None else await listed(session)

        return await self._models.names(ask)

    def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer. Before the first batch, an account-scoped failure moves on to the next account."""
        from core.upstreams.codex.turns import answer

        exchange.principal.require_login("Codex")
        conversation = affinity(exchange.request, exchange.principal)
        sessions = self._sessions.of(exchange.principal, conversation, transport)
        thread = str(uuid5(NAMESPACE_URL, f"isthmus/codex/{conversation}"))

        async def turn(session: Session) -> AsyncGenerator[list[Event], None]:
            return answer(exchange, thread, session)

        return self._sessions.stream(sessions, exchange.principal, turn)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        raise NotFound("Codex keeps no turns")

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        raise NotFound("Codex keeps no turns")
