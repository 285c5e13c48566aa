"""The kinds of routes there are: what stands around a handler, by what it answers."""

from functools import partial
from typing import Any

from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from api import handlers
from api.gateway import Gateway
from api.middleware.attend import Attend
from api.middleware.auth import Auth
from api.middleware.errors import Errors
from api.middleware.fallback import Fallback
from api.middleware.intake import Intake
from api.middleware.query_key import AuthByQuery
from api.middleware.sse import Sse
from api.middleware.tools import Tools
from api.routing import BY_HEADER, stack
from api.token_counts import CountDialect, TokenCount
from core.contracts import Dialect
from core.wire.gemini import GEMINI, GEMINI_COUNT, GEMINI_STREAM
from core.wire.openai_chat import OPENAI_CHAT


class Routes:
    """Makes the routes of one app. `gate` is who lets a caller in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = gateway.settings

    def turn(self, path: str, dialect: Dialect, handler: ASGIApp = handlers.answer, gate: type[Auth] = Auth) -> Route:
        """A turn of a conversation. Pages are read for those that `handlers.answer` answers, where the setting says."""
        reads_pages = self._settings.fetch_urls and handler is handlers.answer
        if reads_pages:
            from api.middleware.pages import Pages
        layers = (
            *self._entrance(dialect, gate),
            partial(Intake, gateway=self._gateway, dialect=dialect),
            partial(Sse, heartbeat_s=self._settings.heartbeat_s),
            *((partial(Pages, transport=self._gateway.transport),) if reads_pages else ()),
            partial(Fallback, breaker=self._gateway.breaker),
            partial(Tools, settings=self._settings),
        )
        return Route(path, stack(handler, *layers), methods=["POST"])

    def service(self, path: str, handler: Any, method: str = "POST", gate: type[Auth] = Auth) -> Route:
        """What takes an upstream's time and is no turn."""
        layers = (*self._entrance(OPENAI_CHAT, gate), partial(Attend, gateway=self._gateway))
        return Route(path, stack(request_response(handler), *layers), methods=[method])

    def guarded(
        self,
        path: str,
        handler: Any,
        method: str = "GET",
        dialect: Dialect = OPENAI_CHAT,
        gate: type[Auth] = Auth,
    ) -> Route:
        """What is asked about the gateway, by those who may use it."""
        return Route(path, stack(request_response(handler), *self._entrance(dialect, gate)), methods=[method])

    def shared(self, path: str, handler: Any) -> Route:
        """What clients of several APIs ask at one path: a header tells which of them asks."""
        layers = (
            partial(Errors, dialect=OPENAI_CHAT, by_header=BY_HEADER),
            partial(Auth, settings=self._settings),
        )
        return Route(path, stack(request_response(handler), *layers), methods=["GET"])

    def unguarded(self, path: str, handler: Any) -> Route:
        """What needs no key of the gateway's: the caller brings what it is about."""
        return Route(path, stack(request_response(handler), partial(Errors, dialect=OPENAI_CHAT)), methods=["POST"])

    def count(self, path: str, dialect: CountDialect, gate: type[Auth] = Auth) -> Route:
        """A request whose tokens are counted."""
        layers = (
            *self._entrance(dialect, gate),
            partial(Attend, gateway=self._gateway),
            partial(Intake, gateway=self._gateway, dialect=dialect),
        )
        return Route(path, stack(TokenCount(dialect), *layers), methods=["POST"])

    def gemini(self, base: str) -> list[Route]:
        """Google's three calls on a model, under a base such as `/v1beta/models`."""
        model = base + "/{model:path}"
        return [
            self.turn(f"{model}:generateContent", GEMINI, gate=AuthByQuery),
            self.turn(f"{model}:streamGenerateContent", GEMINI_STREAM, gate=AuthByQuery),
            self.count(f"{model}:countTokens", GEMINI_COUNT, gate=AuthByQuery),
        ]

    def _entrance(self, dialect: Dialect, gate: type[Auth]) -> tuple[Any, ...]:
        return partial(Errors, dialect=dialect), partial(gate, settings=self._settings)
