"""Two services to talk to: the loopback with its log, and a fake that says what it is told, call by call."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from core.accounts import Account, Pool, Principal, Secret
from core.contracts import Exchange, Target
from core.errors import UpstreamError
from core.events import Event
from core.loopback import create_loopback
from core.loopback.transport import LoopbackTransport
from core.request import ChatRequest, Message, Role, Text
from core.settings import Settings
from core.transport import Timeouts, Transport
from core.upstreams.chatgpt_web import ChatGPTWeb
from core.wire.openai_chat import OPENAI_CHAT

USER_AGENT = "isthmus/test"
DEVICE = "00000000-0000-4000-8000-000000000001"
POOL = Principal("pool")
ANONYMOUS = Principal("anonymous", device_id=DEVICE)
OWNER = Principal("account", account=Account(Secret("loopback-own"), "team-1"))
EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


def said(text: str, role: Role = "user") -> Message:
    return Message(role, (Text(text),))


def directive(**keys: object) -> str:
    return f"loopback: {json.dumps(keys)}"


class Pauses:
    """A sleep that only notes how long it should have been, in seconds."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


class World:
    """The upstream over a service of this process. `tokens` are the pool's accounts, as in the settings."""

    def __init__(self, app: ASGIApp, tokens: str = "loopback-a", **environ: str) -> None:
        given = {"CHATGPT_ACCESS_TOKENS": tokens, "CHATGPT_BASE_URL": "loopback://chatgpt"} | environ
        self.settings = Settings.from_env({name: value for name, value in given.items() if value})
        self.pool = Pool(self.settings.accounts)
        self.pauses = Pauses()
        self.upstream = ChatGPTWeb(self.settings, self.pool, self.pauses)
        self.service = LoopbackTransport({"chatgpt": app})
        self.transport = Transport(
            timeouts=Timeouts(5, 5, 5), user_agent=USER_AGENT, mounts={"loopback://": lambda: self.service}
        )

    def exchange(
        self,
        *messages: Message | str,
        principal: Principal = POOL,
        forward: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Exchange:
        asked = tuple(said(message) if isinstance(message, str) else message for message in messages)
        request = ChatRequest("auto", asked, **fields)
        target = Target(self.upstream, "auto")
        return Exchange(
            id="a" * 24,
            created=1_790_000_000,
            dialect=OPENAI_CHAT,
            request=request,
            target=target,
            principal=principal,
            forward=forward or {},
        )

    async def ask(self, *messages: Message | str, **fields: Any) -> list[Event]:
        """Return the whole answer's events; raise what the upstream raises."""
        batches = self.upstream.stream(self.exchange(*messages, **fields), self.transport)
        return [event for batch in [batch async for batch in batches] for event in batch]

    async def refused(self, *messages: Message | str, **fields: Any) -> tuple[list[Event], UpstreamError]:
        """Return what came before the error that the answer must end in, and that error."""
        events: list[Event] = []
        try:
            async for batch in self.upstream.stream(self.exchange(*messages, **fields), self.transport):
                events += batch
        except UpstreamError as error:
            return events, error
        raise AssertionError(f"no error, but {events}")

    async def close(self) -> None:
        await self.transport.aclose()


class Loopback(World):
    def __init__(self, tokens: str = "loopback-a", **environ: str) -> None:
        self.app = create_loopback()
        super().__init__(self.app, tokens, **environ)
        self.web = httpx.AsyncClient(transport=self.service, base_url="loopback://chatgpt")

    async def rule(self, **rule: object) -> None:
        (await self.web.post("/loopback/script", json=rule)).raise_for_status()

    async def calls(self, ending: str = "") -> list[dict[str, Any]]:
        """Return the calls so far whose path has this end."""
        calls: list[dict[str, Any]] = (await self.web.get("/loopback/log")).json()
        return [call for call in calls if call["path"].endswith(ending)]

    async def paths(self) -> list[str]:
        return [call["path"].removeprefix("/backend-api") for call in await self.calls()]


# A service that says what it is told.


class Said(Struct, frozen=True):
    """One answer. `cut` hangs up after the body instead of ending it."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: {"content-type": "application/json"})
    cut: bool = False


class Heard(Struct, frozen=True):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


def told(value: object, status: int = 200, **headers: str) -> Said:
    return Said(json.dumps(value).encode(), status, {"content-type": "application/json"} | headers)


def stream(*blocks: bytes, cut: bool = False) -> Said:
    return Said(b"".join(blocks), 200, EVENT_STREAM, cut)


PREPARE, FINALIZE = "/sentinel/chat-requirements/prepare", "/sentinel/chat-requirements/finalize"
ONE_STEP, ANNOUNCE = "/sentinel/chat-requirements", "/f/conversation/prepare"
TURN, OLD_TURN, RESUME = "/f/conversation", "/conversation", "/f/conversation/resume"
USUAL = {
    PREPARE: told({"prepare_token": "prepared", "token": None}),
    FINALIZE: told({"token": "final"}),
    ONE_STEP: told({"token": "single"}),
    ANNOUNCE: told({"status": "ok", "conduit_token": "conduit"}),
}


class Fake(World):
    """`answers` says by path what is answered: one thing always, or a list of things in turn."""

    def __init__(self, answers: Mapping[str, Said | list[Said]], tokens: str = "loopback-a", **environ: str) -> None:
        super().__init__(self._answer, tokens, **environ)
        self._answers: dict[str, Said | list[Said]] = {**USUAL, **answers}
        self.heard: list[Heard] = []

    def asked(self, path: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.path == path]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix("/backend-api").removeprefix("/backend-anon")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = await _whole(receive)
        self.heard.append(Heard(scope["method"], path, headers | {":path": scope["path"]}, body))
        answer = self._answers.get(path, Said(status=404))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        pairs = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body, "more_body": answer.cut})


async def _whole(receive: Receive) -> bytes:
    """Return the body of a call, in however many pieces it comes."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body
