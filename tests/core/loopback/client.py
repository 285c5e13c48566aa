"""A minimal client of the simulated service, and a reader of its streams that shares no code with the project's."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette

from core.loopback import create_loopback
from core.loopback.transport import LoopbackTransport
from core.upstreams.chatgpt_web.proof import requirements_token, solve

USER_AGENT = "isthmus-test"
SENTINEL = "/backend-api/sentinel/chat-requirements"


def config() -> list[object]:
    return [
        0,
        "now",
        0,
        1,
        USER_AGENT,
        None,
        None,
        "en",
        "en",
        0,
        "",
        "",
        "",
        0.0,
        "device",
        "",
        8,
        0,
        *[0] * 7,
    ]


class Naps:
    """A sleep that only notes how long it should have been, in seconds."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


class Service:
    """The simulated service and a client of it. `now` is its clock, in Unix seconds."""

    def __init__(self, captures: Path | None = None, token: str = "loopback-a") -> None:
        self.now = 1_790_000_000.0
        self.naps = Naps()
        self.app: Starlette = create_loopback(captures, clock=lambda: self.now, sleep=self.naps)
        self.web = self.client(token)

    def client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=LoopbackTransport({"chatgpt": self.app}),
            base_url="loopback://chatgpt",
            headers={"User-Agent": USER_AGENT, "Authorization": f"Bearer {token}"},
        )

    async def script(self, **rule: object) -> httpx.Response:
        return await self.web.post("/loopback/script", json=rule)

    async def log(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.web.get(f"/loopback/log{query}")
        calls: list[dict[str, Any]] = answer.json()
        return calls

    async def prepare(self, token: str | None = None) -> httpx.Response:
        return await self.web.post(f"{SENTINEL}/prepare", json={"p": token or requirements_token(config())})

    async def requirements(self) -> dict[str, str]:
        """Go through both steps of the sentinel; return the headers it is worth."""
        prepared = (await self.prepare()).json()
        proof = prepared["proofofwork"]
        solved = solve(proof["seed"], proof["difficulty"], config())
        body = {"prepare_token": prepared["prepare_token"], "proofofwork": solved}
        final = (await self.web.post(f"{SENTINEL}/finalize", json=body)).json()
        return {"OpenAI-Sentinel-Chat-Requirements-Token": final["token"]}

    @asynccontextmanager
    async def open_turn(
        self,
        prompt: str | Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        path: str = "/backend-api/f/conversation",
        **changes: Any,
    ) -> AsyncIterator[httpx.Response]:
        sent = await self.requirements() if headers is None else dict(headers)
        body = turn_body(prompt) | changes
        async with self.web.stream("POST", path, json=body, headers=sent) as response:
            yield response

    async def turn(
        self, prompt: str | Mapping[str, object], headers: Mapping[str, str] | None = None, **changes: Any
    ) -> "Heard":
        async with self.open_turn(prompt, headers, **changes) as response:
            return await hear(response)


def turn_body(prompt: str | Mapping[str, object]) -> dict[str, object]:
    text = prompt if isinstance(prompt, str) else f"loopback: {json.dumps(prompt)}"
    return {
        "action": "next",
        "messages": [user_message(text)],
        "parent_message_id": "client-created-root",
        "model": "auto",
        "history_and_training_disabled": True,
        "supported_encodings": ["v1"],
    }


def user_message(text: str) -> dict[str, object]:
    content = {"content_type": "text", "parts": [text]}
    return {"id": str(uuid4()), "author": {"role": "user"}, "content": content}


@dataclass
class Heard:
    """What a stream said. `error` is the name of the transport's complaint when it broke off."""

    status: int
    raw: bytes = b""
    error: str | None = None
    is_delta: bool = False
    is_done: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    blocks: int = 0

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events if "type" in event]

    def event(self, kind: str) -> dict[str, Any]:
        return next(event for event in self.events if event.get("type") == kind)

    @property
    def conversation_id(self) -> str:
        found: str = self.event("resume_conversation_token")["conversation_id"]
        return found

    def spoken(self, channel: str | None = None) -> str:
        """Return the text of the last assistant message of a channel that is for the user."""
        texts = [
            message["content"]["parts"][0]
            for message in self.messages
            if message["author"]["role"] == "assistant"
            and message["recipient"] == "all"
            and message["channel"] == channel
            and message["content"]["content_type"] == "text"
        ]
        return texts[-1] if texts else ""

    @property
    def answer(self) -> dict[str, Any]:
        return self.messages[-1]


async def hear(response: httpx.Response, *, follow: bool = True) -> Heard:
    """Read a stream to its end; without `follow`, which the second half of a stream needs, only its bytes."""
    heard = Heard(response.status_code)
    try:
        async for data in response.aiter_bytes():
            heard.raw += data
    except httpx.TransportError as error:
        heard.error = type(error).__name__
    if follow:
        reassemble(heard)
    return heard


def reassemble(heard: Heard) -> None:
    """Follow the stream block by block, as the rules of delta v1 and of snapshots have it."""
    state: dict[str, Any] = {"c": 0, "p": "", "o": "add"}
    documents: dict[int, dict[str, Any]] = {}
    snapshots: dict[str, dict[str, Any]] = {}
    for block in heard.raw.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        data = lines.get("data", "").rstrip()
        if data == "[DONE]":
            heard.is_done = True
        elif lines.get("event") == "delta_encoding":
            heard.is_delta, heard.blocks = True, heard.blocks + 1
        elif lines.get("event") == "delta":
            heard.blocks += 1
            delta = json.loads(data)
            state |= delta
            apply(documents, state["c"], state["p"], state["o"], delta["v"])
        elif data:
            heard.blocks += 1
            value = json.loads(data)
            message = value.get("message")
            if message:
                snapshots[message["id"]] = message
            else:
                heard.events.append(value)
    heard.messages = [document["message"] for document in documents.values()] + list(snapshots.values())


def apply(documents: dict[int, dict[str, Any]], channel: int, path: str, operation: str, value: Any) -> None:
    if operation == "patch":
        for part in value:
            apply(documents, channel, part["p"], part["o"], part["v"])
        return
    if path == "":
        documents[channel] = value
        return
    target: Any = documents[channel]
    *parents, last = [int(key) if key.isdecimal() else key for key in path.split("/")[1:]]
    for key in parents:
        target = target[key]
    if operation == "append" and isinstance(value, dict):
        target[last] = target[last] | value
    elif operation == "append":
        target[last] += value
    else:
        target[last] = value
