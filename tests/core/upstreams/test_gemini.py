"""Gemini as an upstream: its models, its counts, and what is fetched for it, over a world on this machine."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import json, structs
from starlette.types import Receive, Scope, Send

from core.accounts import Principal, Secret
from core.contracts import Exchange, Target
from core.errors import InvalidRequest, NotFound, Unsupported
from core.events import Event
from core.fold import FoldedText, fold
from core.request import ChatRequest, Image, Message, OutputFormat, Part, Text, Tool, Turn
from core.transport import Timeouts, Transport
from core.transport.public import Network
from core.upstreams.gemini import MAX_FETCHED_BYTES, MAX_FETCHES, Gemini
from core.vendors import Vendor
from core.wire.gemini import GEMINI
from tests.api.servers import serving
from tests.core.exchanges import exchange

PNG = b"\x89PNG\r\n\x1a\nrest"
ENDED = b'data: {"candidates":[{"content":{"parts":[{"text":"Seen."}]},"finishReason":"STOP"}]}\r\n\r\n'


class World:
    """Google's API and the public web, all on one port: what it was asked, and what it answers by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, dict[bytes, bytes]]] = []
        self.answers: dict[str, tuple[str, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive()).get("body", b"")
        self.asked.append((scope["raw_path"].decode(), json.decode(body) if body else None, dict(scope["headers"])))
        media_type, answer = self.answers.get(scope["path"], ("text/event-stream", ENDED))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type.encode())]})
        await send({"type": "http.response.body", "body": answer})


class Google:
    """The upstream under test, in a world of its own."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.upstream = Gemini(Vendor("gemini", "gemini", url, Secret("AIza-key-9d")))
        place = ("127.0.0.1", urlsplit(url).port or 0)

        async def resolve(host: str, port: int) -> list[str]:
            return ["93.184.215.14"]

        network = Network(resolve, lambda _: place)
        self.transport = Transport(timeouts=Timeouts(5, 5, 5), user_agent="isthmus", network=network)

    def exchange(self, *parts: Part, model: str = "gemini-3-pro", **fields: Any) -> Exchange:
        request = ChatRequest("auto", (Message("user", parts or (Text("Hi"),)),), **fields)
        return structs.replace(exchange(), request=request, target=Target(self.upstream, model))

    async def ask(self, asking: Exchange) -> str:
        events: list[Event] = []
        async for batch in self.upstream.stream(asking, self.transport):
            events += batch
        return "".join(part.text for part in fold(events).parts if isinstance(part, FoldedText))


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    world = World()
    with serving(world) as url:
        google = Google(world, url)
        yield google
        await google.transport.aclose()


pytestmark = pytest.mark.anyio


async def test_the_key_stands_in_a_header_and_the_model_in_the_path(google: Google) -> None:
    assert await google.ask(google.exchange(model="tuned/a b")) == "Seen."
    [(path, _, headers)] = google.world.asked
    assert path.startswith("/v1beta/models/tuned%2Fa%20b:streamGenerateContent")
    assert headers[b"x-goog-api-key"] == b"AIza-key-9d"
    assert "AIza" not in path


async def test_pictures_of_the_web_are_sent_as_bytes_each_fetched_once(google: Google) -> None:
    google.world.answers = {"/a": ("text/html", PNG), "/b": ("image/webp", b"RIFF")}
    first, second = Image("http://pets.example/a", where="x"), Image("http://pets.example/b", where="y")
    assert await google.ask(google.exchange(first, second, first)) == "Seen."
    sent = google.world.asked[-1][1]["contents"][0]["parts"]
    pictures = [("image/png", PNG), ("image/webp", b"RIFF"), ("image/png", PNG)]
    assert sent == [
        {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}} for kind, data in pictures
    ]
    assert sorted(path for path, _, _ in google.world.asked[:-1]) == ["/a", "/b"]


async def test_googles_own_clients_name_what_google_fetches(google: Google) -> None:
    asking = structs.replace(google.exchange(Image("http://pets.example/a")), dialect=GEMINI)
    assert await google.ask(asking) == "Seen."
    [(_, sent, _)] = google.world.asked
    assert sent["contents"][0]["parts"] == [{"fileData": {"fileUri": "http://pets.example/a"}}]


async def test_there_is_a_limit_to_what_is_fetched(google: Google) -> None:
    several = [Image(f"http://pets.example/{number}", where=f"x[{number}]") for number in range(MAX_FETCHES + 1)]
    with pytest.raises(InvalidRequest) as raised:
        await google.ask(google.exchange(*several))
    assert (raised.value.param, google.world.asked) == (f"x[{MAX_FETCHES}]", [])
    half = b"\x89PNG" + bytes(MAX_FETCHED_BYTES // 2)
    google.world.answers = {"/1": ("image/png", half), "/2": ("image/png", half)}
    with pytest.raises(InvalidRequest, match="bytes in all"):
        await google.ask(google.exchange(*several[1:3]))


async def test_its_models_are_those_that_generate(google: Google) -> None:
    listed = [
        {"name": "models/gemini-3-pro", "supportedGenerationMethods": ["generateContent", "countTokens"]},
        {"name": "models/embedding-1", "supportedGenerationMethods": ["embedContent"]},
    ]
    google.world.answers = {"/v1beta/models": ("application/json", json.encode({"models": listed}))}
    assert await google.upstream.model_names(google.transport) == ("gemini-3-pro",)


async def test_a_list_that_cannot_be_had_is_empty(google: Google) -> None:
    assert await google.upstream.model_names(google.transport) == ()


async def test_a_count_is_asked_with_the_whole_request(google: Google) -> None:
    counted = "/v1beta/models/gemini-3-pro:countTokens"
    google.world.answers = {counted: ("application/json", b'{"totalTokens": 7}')}
    asking = google.exchange(temperature=0.5)
    assert await google.upstream.count_tokens(asking, google.transport) == 7
    assert google.world.asked[-1][1]["generateContentRequest"] == {
        "model": "models/gemini-3-pro",
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.5},
    }
    own = structs.replace(asking, dialect=GEMINI, body=b'{"contents":[]}')
    assert await google.upstream.count_tokens(own, google.transport) == 7
    assert google.world.asked[-1][1] == {"contents": []}


async def test_what_cannot_be_sent_is_refused_before_the_call(google: Google) -> None:
    with pytest.raises(Unsupported):
        await google.ask(google.exchange(continues=Turn("c")))
    assert google.world.asked == []


async def test_nothing_is_kept_there(google: Google) -> None:
    for call in (google.upstream.recall, google.upstream.forget):
        with pytest.raises(NotFound):
            await call(Turn("c"), Principal("pool"), google.transport)


@pytest.mark.parametrize(
    ("fields", "own", "model", "expected"),
    [
        ({}, False, "gemini-3-pro", True),
        ({"tools": (Tool("f"),)}, False, "gemini-3-pro", True),
        ({"tools": (Tool("f"),)}, False, "gemini-2.5-pro", False),
        ({"tools": (Tool("f"),)}, True, "gemini-2.5-pro", True),
    ],
    ids=["alone", "beside functions", "beside functions before Gemini 3", "as its own client asked"],
)
async def test_which_forms_it_answers_in(
    google: Google, fields: dict[str, Any], own: bool, model: str, expected: bool
) -> None:
    asking = google.exchange(model=model, **fields)
    asking = structs.replace(asking, dialect=GEMINI) if own else asking
    assert google.upstream.honours(OutputFormat("json_object"), asking) is expected
