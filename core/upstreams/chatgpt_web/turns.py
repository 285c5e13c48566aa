"""The turns of one app instance: who may answer, what is sent, and what stays in the account afterwards."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Literal

from msgspec import structs

from core.affinity import affinity
from core.chatgpt.session import Pause, Session
from core.chatgpt.sessions import Sessions
from core.contracts import Exchange
from core.events import Event
from core.request import StoredFile
from core.settings import Settings
from core.transport import Transport
from core.upstreams.chatgpt_web.attachments import Attachments, Reference, Uploads, keeping_account
from core.upstreams.chatgpt_web.turn import Plan, TurnRun
from core.wire.chatgpt_web.code import with_code_words
from core.wire.chatgpt_web.image_words import with_words
from core.wire.chatgpt_web.requests import NOTHING, prepare_outgoing
from core.wire.chatgpt_web.research import is_research_model

_PATHS: dict[str, Literal["/f/conversation", "/conversation"]] = {
    "f": "/f/conversation",
    "plain": "/conversation",
}


class Turns:
    def __init__(self, settings: Settings, sessions: Sessions, pause: Pause) -> None:
        self._settings = settings
        self._sessions = sessions
        self._pause = pause
        self._uploads = Uploads()

    def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer. Before the first batch, an account-scoped failure moves on to the next account."""
        exchange = _worded(exchange)
        temporary, fleeting = self._stay(exchange)
        attachments = Attachments(exchange, transport, self._uploads, self._pause)
        plan_of = partial(self.plan, exchange, transport, temporary=temporary, fleeting=fleeting)

        async def answer(session: Session) -> AsyncGenerator[list[Event], None]:
            return TurnRun(plan_of(attached=await attachments.into(session)), session).events()

        return self._sessions.stream(self._sessions_for(exchange, transport), exchange.principal, answer)

    def plan(
        self,
        exchange: Exchange,
        transport: Transport,
        *,
        temporary: bool,
        fleeting: bool = False,
        attached: Mapping[Reference, StoredFile] = NOTHING,
    ) -> Plan:
        return Plan(
            exchange=exchange,
            outgoing=prepare_outgoing(exchange, temporary, attached),
            path=_PATHS[self._settings.chatgpt_turn_path],
            max_continue_count=self._settings.max_continue_count,
            user_agent=transport.user_agent,
            fleeting=fleeting,
            pause=self._pause,
        )

    def _stay(self, exchange: Exchange) -> tuple[bool, bool]:
        """Return whether the turn is temporary, and whether its conversation is removed when the answer is whole.

        What is made after a turn (section 6), or in it beside the text, cannot be had from a temporary conversation.
        """
        keeps, continued, hints = self._keeps(exchange), exchange.request.continues, exchange.request.hints
        if not (hints.image_generation or hints.code_interpreter or hints.deep_research):
            return not keeps, False
        if continued is not None:
            return not (keeps or continued.kept), False
        return False, not keeps

    def _keeps(self, exchange: Exchange) -> bool:
        """Say whether the turn stays in the account: a setting decides, else the request (ruling 14)."""
        if exchange.principal.kind == "anonymous":
            return False
        if self._settings.enable_history is not None:
            return self._settings.enable_history
        return exchange.request.store is True

    def _sessions_for(self, exchange: Exchange, transport: Transport) -> list[Session]:
        """Return who may answer: where one account keeps the conversation or the files, that account alone (P5)."""
        account = keeping_account(exchange.request)
        if account is None:
            return self._sessions.of(exchange.principal, affinity(exchange.request, exchange.principal), transport)
        return [self._sessions.keeper(account, exchange.principal, transport)]


def _worded(exchange: Exchange) -> Exchange:
    """Return the exchange with what its hints and its model's name ask for. Raises `Forbidden` (AU-16)."""
    request, principal = exchange.request, exchange.principal
    if is_research_model(exchange.target.model):
        request = structs.replace(request, hints=structs.replace(request.hints, deep_research=True))
    if request.hints.deep_research:
        principal.require_login("Deep research")
    if request.hints.code_interpreter:
        principal.require_login("Code interpreter")
    if request.hints.image_generation:
        principal.require_login("Image generation")
    return structs.replace(exchange, request=with_code_words(with_words(request)))
