"""A gateway that writes down what its client asks of it: an agent's retries are not to be seen from upstream alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import create_app
from core.settings import Settings
from tests.api.servers import serving


class Asked(Struct):
    """A request of the client. `body` and `answer` are what their JSON holds, None where there is none."""

    method: str
    path: str
    body: Any = None
    status: int = 0
    answer: Any = None


class Watched:
    """An app around the gateway's; `requests` are those since the last `forget`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.url = ""
        self.requests: list[Asked] = []

    def forget(self) -> None:
        self.requests.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(scope["method"], scope["path"])
        self.requests.append(asked)
        taken, sent = bytearray(), bytearray()

        async def take() -> Message:
            message = await receive()
            taken.extend(message.get("body", b""))
            return message

        async def give(message: Message) -> None:
            if message["type"] == "http.response.start":
                asked.body, asked.status = _json(taken), message["status"]
            sent.extend(message.get("body", b""))
            asked.answer = _json(sent) if not message.get("more_body") else None
            await send(message)

        await self._app(scope, take, give)


def _json(data: bytearray) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None


@contextmanager
def watched_gateway(environ: Mapping[str, str]) -> Iterator[Watched]:
    """Run a gateway with these variables on a real port, and watch it."""
    watched = Watched(create_app(Settings.from_env(environ)))
    with serving(watched) as watched.url:
        yield watched
