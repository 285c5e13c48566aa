"""What every call of the simulated service passes first: identity, then the rules of the control endpoint."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.loopback.identity import Prefix, identify
from core.loopback.refusals import Refused
from core.loopback.world import Rule, World

_PREFIXES: tuple[Prefix, ...] = ("/backend-api/", "/backend-anon/")


class Gate:
    """Middleware. Sets `scope["loopback.caller"]` for calls under the service's two prefixes."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self.app = app
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = _prefix(scope)
        if prefix is None:
            await self.app(scope, receive, send)
            return
        try:
            caller = identify(Headers(scope=scope), prefix, self.world.clock())
        except Refused as refused:
            await refused.response()(scope, receive, send)
            return
        rule = self.world.take_rule(caller.key, scope["path"])
        if rule is None:
            await self.app({**scope, "loopback.caller": caller}, receive, send)
        else:
            await self._follow(rule, scope, receive, send)

    async def _follow(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        if rule.stall:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.world.calls.hang_up(scope["loopback.call"])
        elif rule.cut:
            await send({"type": "http.response.start", "status": rule.status or 200, "headers": _STREAM_TYPE})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        else:
            await Refused(rule.status or 500, rule.body, rule.headers).response()(scope, receive, send)


_STREAM_TYPE = [(b"content-type", b"text/event-stream; charset=utf-8")]


def _prefix(scope: Scope) -> Prefix | None:
    if scope["type"] != "http":
        return None
    return next((prefix for prefix in _PREFIXES if scope["path"].startswith(prefix)), None)
