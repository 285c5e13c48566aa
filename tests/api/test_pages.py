"""Pages that a message names: read through the guard, given to the model, told to the client; never a failed turn."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api import handlers
from api.app import create_app
from api.events import EXTENSION
from api.gateway import USER_AGENT, build_gateway
from api.middleware.pages import MAX_PAGE_CHARS, Pages
from core.contracts import Exchange
from core.events import Event, Start
from core.request import ChatRequest, Image, Message, Part, Text
from core.settings import Settings
from core.transport import Timeouts, Transport
from core.transport.public import Network
from tests.api.layers import CLOSING, OPENING, Client, exchange, http_scope, telling
from tests.api.servers import Gateway, Upstream, chat_body, content, data_frames, serving
from tests.api.test_app import TURN_LAYERS, layers_of
from tests.core.transport_peers import HANG, READ, Server, sized

pytestmark = pytest.mark.anyio

TIMEOUTS = Timeouts(connect_s=5, first_byte_s=5, idle_s=5)
HTML = b"<title>Zebras</title><nav>menu</nav><p>Zebras have <b>stripes</b>.</p>"


def transport_to(port: int) -> Transport:
    """Return a transport for which every name under `.example` is a public address, and port `port` answers there."""

    async def resolve(host: str, _: int) -> Sequence[str]:
        return ("93.184.216.34",) if host.endswith(".example") else ("127.0.0.1",)

    network = Network(resolve, lambda place: ("127.0.0.1", port))
    return Transport(timeouts=TIMEOUTS, user_agent=USER_AGENT, network=network)


# Over sockets, with everything in between


async def zebras(request: Request) -> Response:
    return Response(HTML, media_type="text/html")


async def missing(request: Request) -> Response:
    return Response("gone", 410)


@pytest.fixture(scope="module")
def reading_gateway(upstream_server: Upstream) -> Iterator[Gateway]:
    """Give a gateway that reads pages, all of them from one server."""
    settings = Settings.from_env(upstream_server.environ(FETCH_URLS="true"))
    with serving(Starlette(routes=[Route("/zebras", zebras), Route("/gone", missing)])) as site:
        gateway = build_gateway(settings, transport_to(httpx.URL(site).port or 0))
        with serving(create_app(settings, gateway)) as url:
            reader = Gateway(url)
            yield reader
            reader.close()


def asked(upstream: Upstream) -> str:
    """Return what the last turn asked the upstream."""
    parts = upstream.turns()[-1]["body"]["messages"][-1]["content"]["parts"]
    return "\n".join(part for part in parts if isinstance(part, str))


def test_a_page_is_given_to_the_model_and_told_to_the_client(
    reading_gateway: Gateway, upstream_server: Upstream
) -> None:
    answer = reading_gateway.chat("What does http://site.example/zebras say?")
    assert answer.status_code == 200
    assert answer.headers["x-isthmus-urls"] == "1 read"
    told = asked(upstream_server)
    assert (
        told.index("What does")
        < told.index("Content of http://site.example/zebras")
        < told.index("Zebras have stripes.")
    )
    assert "menu" not in told


def test_a_streamed_answer_tells_it_too(reading_gateway: Gateway) -> None:
    answer = reading_gateway.chat("See http://site.example/zebras and http://site.example/gone", stream=True)
    assert answer.headers["x-isthmus-urls"] == "1 read, 2 failed"
    assert content(data_frames(answer.text))


def test_responses_read_pages_too(reading_gateway: Gateway, upstream_server: Upstream) -> None:
    answer = reading_gateway.web.post("/v1/responses", json={"model": "auto", "input": "http://site.example/zebras"})
    assert answer.headers["x-isthmus-urls"] == "1 read"
    assert "Zebras have stripes." in asked(upstream_server)


def test_a_page_inside_the_network_is_not_read(reading_gateway: Gateway, upstream_server: Upstream) -> None:
    answer = reading_gateway.chat("http://localhost:3040/health http://169.254.169.254/latest/meta-data/")
    assert answer.status_code == 200
    assert answer.headers["x-isthmus-urls"] == "1 failed, 2 failed"
    assert "its host has no public address" in asked(upstream_server)


def test_pages_are_read_only_where_the_setting_says_so(socket_gateway: Gateway, upstream_server: Upstream) -> None:
    answer = socket_gateway.web.post("/v1/chat/completions", json=chat_body("http://site.example/zebras"))
    assert "x-isthmus-urls" not in answer.headers
    assert "Content of" not in asked(upstream_server)


def test_the_layer_stands_where_events_still_pass(upstream_server: Upstream) -> None:
    app = create_app(Settings.from_env(upstream_server.environ(FETCH_URLS="true")))
    position = TURN_LAYERS.index("Sse") + 1
    expected = (*TURN_LAYERS[:position], "Pages", *TURN_LAYERS[position:])
    stacks = [layers_of(route) for route in app.routes if isinstance(route, Route)]
    turns = [names for names, handler in stacks if handler is handlers.answer]
    assert turns
    assert {(names[0], "Auth", *names[2:]) for names in turns} == {expected}


# The layer alone


class Inner:
    """The layer inside: keeps the exchange it was given."""

    def __init__(self) -> None:
        self.given: Exchange | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.given = scope["exchange"]
        await telling(OPENING, CLOSING)(scope, receive, send)


async def read(request: ChatRequest, port: int = 9, body: bytes = b"raw") -> tuple[Exchange, list[Event]]:
    """Return the exchange that arrives inside, and the events that come out."""
    events: list[Event] = []

    async def send(message: Any) -> None:
        assert message["type"] == EXTENSION
        events.extend(message["events"])

    inner = Inner()
    turn = structs.replace(exchange(), request=request, body=body)
    await Pages(inner, transport_to(port))({**http_scope(), "exchange": turn}, Client().receive, send)
    assert inner.given is not None
    return inner.given, events


def request_of(*messages: tuple[str, str]) -> ChatRequest:
    return ChatRequest("auto", tuple(Message(role, (Text(text),)) for role, text in messages))  # type: ignore[arg-type]


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts if isinstance(part, Text)]


def notes(events: list[Event]) -> tuple[tuple[str, str], ...]:
    return next(event.notes for event in events if isinstance(event, Start))


async def test_a_message_without_urls_passes_as_it_is() -> None:
    request = request_of(("user", "hello"))
    inside, events = await read(request)
    assert inside.request is request
    assert inside.body == b"raw"
    assert events == [*OPENING, *CLOSING]


async def test_only_the_newest_user_message_is_read() -> None:
    request = request_of(
        ("system", "http://a.example/"),
        ("user", "http://b.example/"),
        ("assistant", "http://c.example/"),
        ("user", "http://d.example/"),
        ("assistant", "http://e.example/"),
    )
    async with Server((READ, sized(b"page", b"Content-Type: text/plain"), HANG)) as server:
        inside, events = await read(request, server.port)
    assert [b"host: d.example" in request.lower() for request in server.requests] == [True]
    changed = [new for new, old in zip(inside.request.messages, request.messages, strict=True) if new != old]
    assert [texts(message)[0] for message in changed] == ["http://d.example/"]
    assert texts(changed[0])[1].startswith("Content of http://d.example/, fetched for this message:\n\npage\n")
    assert notes(events) == (("urls", "1 read"),)
    assert inside.body == b"", "what the client sent is no longer what is asked"


async def test_other_parts_stay_where_they_are() -> None:
    parts: tuple[Part, ...] = (Text("http://a.example/"), Image(url="http://b.example/x.png"), Text("more"))
    async with Server((READ, sized(b"page", b"Content-Type: text/plain"), HANG)) as server:
        inside, _ = await read(ChatRequest("auto", (Message("user", parts),)), server.port)
    assert inside.request.messages[0].parts[:3] == parts
    assert len(inside.request.messages[0].parts) == 4
    assert server.connections == 1


async def test_a_long_page_is_cut_and_says_so() -> None:
    page = b"x" * (MAX_PAGE_CHARS + 1)
    async with Server((READ, sized(page, b"Content-Type: text/plain"), HANG)) as server:
        inside, events = await read(request_of(("user", "http://a.example/")), server.port)
    said = texts(inside.request.messages[0])[1]
    assert f"[http://a.example/ goes on; {MAX_PAGE_CHARS} characters are shown]" in said
    assert said.count("x" * MAX_PAGE_CHARS) == 1
    assert "x" * (MAX_PAGE_CHARS + 1) not in said
    assert notes(events) == (("urls", "1 cut"),)


async def test_what_is_no_text_is_told_in_one_line() -> None:
    async with Server((READ, sized(b"\x89PNG", b"Content-Type: image/png"), HANG)) as server:
        inside, events = await read(request_of(("user", "http://a.example/x.png")), server.port)
    assert texts(inside.request.messages[0])[1] == "[http://a.example/x.png was not read: it is of the type image/png]"
    assert notes(events) == (("urls", "1 failed"),)


async def test_three_pages_are_read_side_by_side_and_the_rest_is_counted() -> None:
    urls = " ".join(f"http://{name}.example/" for name in "abcde")
    async with together(3) as port, asyncio.timeout(5):
        inside, events = await read(request_of(("user", urls)), port)
    said = texts(inside.request.messages[0])
    assert [text.split(",")[0] for text in said[1:4]] == [f"Content of http://{name}.example/" for name in "abc"]
    assert said[4] == "[2 more URLs of this message were not read: only 3 are]"
    assert notes(events) == (("urls", "1 read, 2 read, 3 read; 2 left out"),)


async def test_a_message_of_nothing_but_urls_has_a_short_summary() -> None:
    urls = " ".join(f"http://inside{number}/" for number in range(50_000))
    _, events = await read(request_of(("user", urls)))
    assert notes(events) == (("urls", "1 failed, 2 failed, 3 failed; 49997 left out"),)


@asynccontextmanager
async def together(count: int) -> AsyncIterator[int]:
    """Run a server that answers only when so many are asking at once; give its port."""
    barrier = asyncio.Barrier(count)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await barrier.wait()
        writer.write(sized(b"page", b"Content-Type: text/plain"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
