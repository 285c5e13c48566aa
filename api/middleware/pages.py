"""The layer that reads the pages a person names: the text behind the URLs of the newest user message (CH-9).

It stands there only when `FETCH_URLS` says so. A page that cannot be had is no reason to fail the turn: the model is
told in one line, and the client by the header `x-isthmus-urls`, which numbers the URLs in their order: they may be
signed, and headers are logged.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from msgspec import Struct, structs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import EXTENSION
from core.contracts import Exchange
from core.errors import GatewayError
from core.events import Event, Start
from core.pages import ACCEPT, UnreadablePage, page_text, urls_in
from core.parallel import side_by_side
from core.request import ChatRequest, Text
from core.request import Message as ChatMessage
from core.transport import Transport

MAX_PAGES = 3
MAX_PAGE_BYTES = 2 << 20
MAX_PAGE_CHARS = 20_000
"""How much of a page the model is given: some 5000 tokens."""

FETCH_LIMIT_S = 10.0


class Page(Struct, frozen=True):
    """What became of a URL: `state` is for the client, `said` for the model."""

    state: str
    said: str


class Pages:
    def __init__(self, app: ASGIApp, transport: Transport) -> None:
        self.app = app
        self.transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        position = _newest_of_user(exchange.request)
        urls = () if position is None else _urls_of(exchange.request.messages[position])
        if position is None or not urls:
            await self.app(scope, receive, send)
            return
        read = await side_by_side([partial(self._read, url) for url in urls[:MAX_PAGES]], MAX_PAGES)
        left_out = len(urls) - len(read)
        request = _with_pages(exchange.request, position, read, left_out)
        inner = structs.replace(exchange, request=request, body=b"")
        await self.app({**scope, "exchange": inner}, receive, _telling(send, _summary(read, left_out)))

    async def _read(self, url: str) -> Page:
        try:
            fetched = await self.transport.fetch_public(
                url, param="the page", limit_bytes=MAX_PAGE_BYTES, timeout_s=FETCH_LIMIT_S, accept=ACCEPT
            )
            text = await asyncio.to_thread(page_text, fetched.data, fetched.media_type, fetched.charset)
        except GatewayError as error:
            return Page("failed", f"[{url} was not read: {error.message}]")
        except UnreadablePage as error:
            return Page("failed", f"[{url} was not read: {error}]")
        return _given(url, text)


def _given(url: str, text: str) -> Page:
    beginning = f"Content of {url}, fetched for this message:\n\n"
    if len(text) <= MAX_PAGE_CHARS:
        return Page("read", f"{beginning}{text}\n\n[end of {url}]")
    return Page("cut", f"{beginning}{text[:MAX_PAGE_CHARS]}\n\n[{url} goes on; {MAX_PAGE_CHARS} characters are shown]")


def _newest_of_user(request: ChatRequest) -> int | None:
    positions = range(len(request.messages) - 1, -1, -1)
    return next((position for position in positions if request.messages[position].role == "user"), None)


def _urls_of(message: ChatMessage) -> tuple[str, ...]:
    return urls_in("\n".join(part.text for part in message.parts if isinstance(part, Text)))


def _with_pages(request: ChatRequest, position: int, pages: Sequence[Page], left_out: int) -> ChatRequest:
    said = [page.said for page in pages]
    if left_out:
        said.append(f"[{left_out} more URLs of this message were not read: only {MAX_PAGES} are]")
    message = request.messages[position]
    message = structs.replace(message, parts=(*message.parts, *map(Text, said)))
    messages = (*request.messages[:position], message, *request.messages[position + 1 :])
    return structs.replace(request, messages=messages)


def _summary(pages: Sequence[Page], left_out: int) -> str:
    """Return such as `1 read, 2 failed, 3 cut; 4 left out`: what became of the first, the second and the third."""
    states = ", ".join(f"{number} {page.state}" for number, page in enumerate(pages, start=1))
    return f"{states}; {left_out} left out" if left_out else states


def _telling(send: Send, summary: str) -> Send:
    """Return a `send` that adds the summary to the notes of every `Start`."""

    async def tell(message: Message) -> None:
        if message["type"] == EXTENSION:
            message = {**message, "events": [_noted(event, summary) for event in message["events"]]}
        await send(message)

    return tell


def _noted(event: Event, summary: str) -> Event:
    return structs.replace(event, notes=(*event.notes, ("urls", summary))) if type(event) is Start else event
