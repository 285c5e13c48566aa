"""Pictures and files of a turn: where their bytes come from, and that they reach the account that answers."""

import asyncio
import base64
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import Struct, structs
from starlette.types import Receive, Scope, Send

from core.accounts import Account, Secret
from core.contracts import Context
from core.errors import Forbidden, GatewayError, InvalidRequest, UpstreamError, UpstreamRejected
from core.events import Event, TextDelta
from core.media import Blob
from core.request import File, Image, Message, StoredFile, Text, Turn
from core.services import Upload
from core.transport import Timeouts, Transport
from core.transport.public import Network
from core.upstreams.chatgpt_web import attachments
from core.upstreams.chatgpt_web.attachments import Reference
from tests.api.servers import serving
from tests.core.upstreams.chatgpt_web.test_files import PNG
from tests.core.upstreams.chatgpt_web.worlds import ANONYMOUS, OWNER, POOL, USER_AGENT, Loopback, directive

pytestmark = pytest.mark.anyio

ENCODED = base64.b64encode(PNG).decode()
DATA_URL = f"data:image/png;base64,{ENCODED}"
OTHER_PNG = PNG + b"x"
WHERE = "messages[0].content[0].image_url"
CONTEXT = Context(id="b" * 24, created=1_790_000_000, principal=POOL)


def digest(token: str) -> str:
    return Account(Secret(token)).digest


def asked(*parts: Reference | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def uploads(world: Loopback) -> list[dict[str, Any]]:
    """Return what was announced, in order."""
    return [call["body"] for call in await world.calls("/backend-api/files")]


async def begun(world: Loopback, path: str) -> None:
    """Return when a call has come in; each look is a call of its own, and there is an end to them."""
    for _ in range(1000):
        if await world.calls(path):
            return
    raise AssertionError(f"no call of {path} has come in")


async def kept(world: Loopback, name: str = "kept.png", context: Context = CONTEXT) -> StoredFile:
    return await world.upstream.upload(Upload(name, "", Blob(PNG, ""), "vision"), context, world.transport)


# Where bytes come from.


class Source(Struct, frozen=True):
    """A part, and how the loopback describes what came with the message."""

    id: str
    part: Reference
    told: str


PICTURE = "image-1.png (image/png, 70 bytes, 1x1)"
SOURCES = [
    Source("a data: URL", Image(DATA_URL), PICTURE),
    Source("base64 alone", Image(ENCODED), PICTURE),
    Source("base64 without padding", Image(ENCODED.rstrip("=")), PICTURE),
    Source("a picture by another type's name", Image(f"data:text/plain;base64,{ENCODED}"), PICTURE),
    Source(
        "a picture that is sent as a file", File(data=DATA_URL, filename="cat.png"), PICTURE.replace("image-1", "cat")
    ),
    Source("a file with its name", File(data="aGVsbG8=", filename="a.md"), "a.md (text/markdown, 5 bytes)"),
    Source("a file with its type", File(data="data:text/csv;base64,YSxiCg=="), "file-1.csv (text/csv, 4 bytes)"),
    Source("a file of no type", File(data="aGVsbG8="), "file-1.txt (text/plain, 5 bytes)"),
    Source("a file that is no text", File(data="AAECAw=="), "file-1 (application/octet-stream, 4 bytes)"),
    Source("a data: URL as a file's URL", File(url="data:,hello"), "file-1.txt (text/plain, 5 bytes)"),
]


@pytest.mark.parametrize("case", SOURCES, ids=lambda case: case.id)
async def test_the_model_gets_what_the_message_holds(case: Source) -> None:
    world = Loopback()
    assert text_of(await world.ask(asked("What is this?", case.part))).endswith(f" With it came: {case.told}.")
    await world.close()


class Refused(Struct, frozen=True):
    id: str
    part: Reference
    says: str
    code: str | None = None


REFUSED = [
    Refused("a path", Image("/etc/passwd", where=WHERE), "is neither a URL nor base64 data"),
    Refused("a path below", Image("pictures/cat.png", where=WHERE), "is neither a URL nor base64 data"),
    Refused("a path that could be base64", Image("etc/pass", where=WHERE), "the bytes are no picture", "invalid_image"),
    Refused("a path of a file", File(data="/etc/hosts", where=WHERE), "is neither a URL nor base64 data"),
    Refused("a path of a file, as long as base64", File(data="/etc/pas", where=WHERE), "is neither a URL nor base64"),
    Refused("a drive", Image("C:\\cat.png", where=WHERE), "cannot be fetched"),
    Refused("a file: URL", Image("file:///etc/passwd", where=WHERE), "cannot be fetched"),
    Refused("a service of this machine", Image("http://127.0.0.1/cat.png", where=WHERE), "cannot be fetched"),
    Refused(
        "a picture that is none", Image("data:image/png;base64,aGVsbG8=", where=WHERE), "no picture", "invalid_image"
    ),
    Refused(
        "a document as a picture",
        Image("data:image/png;base64,JVBERi0xLjc=", where=WHERE),
        "are application/pdf",
        "invalid_image",
    ),
    Refused("a broken data: URL", Image("data:image/png;base64,%%%", where=WHERE), WHERE),
    Refused("an empty file", File(data="data:;base64,", where=WHERE), WHERE),
    Refused("an id that is not ours", Image(file_id="file-abc", where=WHERE), "is not a file id"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_what_cannot_be_used_is_refused_before_the_turn(case: Refused) -> None:
    world = Loopback()
    with pytest.raises(InvalidRequest) as caught:
        await world.ask(asked("See", case.part))
    assert case.says in caught.value.message
    assert caught.value.param == WHERE
    assert case.code in (None, caught.value.code)
    assert await world.calls() == []
    await world.close()


async def test_there_may_be_so_many_and_no_more() -> None:
    parts = [Image(DATA_URL, where=f"messages[0].content[{number}].image_url") for number in range(51)]
    world = Loopback()
    with pytest.raises(InvalidRequest) as caught:
        await world.ask(asked(*parts))
    assert caught.value.param == "messages[0].content[50].image_url"
    assert "With it came" in text_of(await world.ask(asked(*parts[:50])))
    assert len(await uploads(world)) == 1
    await world.close()


async def test_an_anonymous_device_has_no_place_for_files() -> None:
    world = Loopback()
    with pytest.raises(Forbidden, match="File upload requires a logged-in ChatGPT account"):
        await world.ask(asked(Image(DATA_URL)), principal=ANONYMOUS)
    assert await world.calls() == []
    await world.close()


# From the Web.


class Web:
    """A web server that all public names lead to."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[bytes, str]] = {}
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        body, media_type = self.pages.get(scope["path"], (b"", "text/plain"))
        headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if body else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def public_web() -> Iterator[tuple[Web, Network]]:
    web = Web()

    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.215.14"]

    with serving(web) as url:
        place = ("127.0.0.1", urlsplit(url).port or 0)
        yield web, Network(resolve, lambda _: place)


def online(network: Network, tokens: str = "loopback-a") -> Loopback:
    """Return a world whose transport reaches the public web."""
    world = Loopback(tokens)
    mounts = {"loopback://": lambda: world.service}
    world.transport = Transport(timeouts=Timeouts(5, 5, 5), user_agent=USER_AGENT, mounts=mounts, network=network)
    return world


async def test_a_picture_is_fetched_from_the_web(public_web: tuple[Web, Network]) -> None:
    web, network = public_web
    web.pages = {
        "/pets/c%C3%A4t.png": (PNG, "image/png"),
        "/pets/cät.png": (PNG, "image/png"),
        "/doc": (b"%PDF-1.7", "x/y"),
    }
    world = online(network)
    parts = (Image("http://cats.example/pets/c%C3%A4t.png"), File(url="http://cats.example/doc", filename="a.pdf"))
    answer = text_of(await world.ask(asked("See", *parts)))
    assert "cät.png (image/png, 70 bytes, 1x1), a.pdf (application/pdf, 8 bytes)" in answer
    await world.close()


async def test_a_page_in_place_of_a_picture_is_refused(public_web: tuple[Web, Network]) -> None:
    web, network = public_web
    web.pages = {"/cat.png": (b"<html>Not a cat</html>", "image/png")}
    world = online(network)
    for url in ("http://cats.example/cat.png", "http://cats.example/missing.png"):
        with pytest.raises(InvalidRequest) as caught:
            await world.ask(asked("See", Image(url, where=WHERE)))
        assert caught.value.param == WHERE
    await world.close()


async def test_all_that_is_fetched_has_a_limit(
    public_web: tuple[Web, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, network = public_web
    monkeypatch.setattr(attachments, "MAX_FETCHED_BYTES", 2 * len(PNG))
    web.pages = {f"/{number}.png": (PNG, "image/png") for number in range(3)}
    parts = [Image(f"http://cats.example/{number}.png", where=f"messages[0].content[{number}]") for number in range(3)]
    world = online(network)
    with pytest.raises(InvalidRequest, match="more than 140 bytes in all"):
        await world.ask(asked(*parts))
    assert "With it came" in text_of(await world.ask(asked("See", *parts[:2])))
    await world.close()


async def test_what_was_fetched_is_not_fetched_again_for_the_next_account(public_web: tuple[Web, Network]) -> None:
    web, network = public_web
    web.pages, web.asked = {"/cat.png": (PNG, "image/png")}, []
    world = online(network, tokens="loopback-a,loopback-b")
    await world.rule(path="/f/conversation", status=403, times=1)
    assert "cat.png" in text_of(await world.ask(asked("See", Image("http://cats.example/cat.png"))))
    assert web.asked == ["/cat.png"]
    creates = await world.calls("/backend-api/files")
    assert len({call["account"] for call in creates}) == len(creates) == 2
    await world.close()


# Into the account.


async def test_the_same_bytes_go_up_once() -> None:
    world = Loopback()
    await world.ask(asked("See", Image(DATA_URL), Image(ENCODED), File(data=DATA_URL, filename="other.png")))
    assert len(await uploads(world)) == 1
    sent = (await world.calls("/f/conversation"))[-1]["body"]["messages"][0]
    assert [part["content_type"] for part in sent["content"]["parts"][:-1]] == ["image_asset_pointer"] * 3
    assert len(sent["metadata"]["attachments"]) == 1
    await world.close()


async def test_several_attempts_of_one_request_upload_once() -> None:
    world = Loopback()
    for attempt in ("0", "1"):
        exchange = world.exchange(asked("See", Image(DATA_URL)))
        numbered = structs.replace(exchange, id=f"{exchange.id}.{attempt}")
        assert [batch async for batch in world.upstream.stream(numbered, world.transport)]
    assert len(await uploads(world)) == 1
    assert len(await world.calls("/f/conversation")) == 2
    await world.close()


async def test_turns_side_by_side_fetch_once_and_upload_once(public_web: tuple[Web, Network]) -> None:
    web, network = public_web
    web.pages, web.asked = {"/cat.png": (PNG, "image/png")}, []
    world = online(network)
    exchange = world.exchange(asked("See", Image("http://cats.example/cat.png")))

    async def turn(number: int) -> list[list[Event]]:
        numbered = structs.replace(exchange, id=f"{exchange.id}.{number}")
        return [batch async for batch in world.upstream.stream(numbered, world.transport)]

    assert all(await asyncio.gather(*map(turn, range(3))))
    assert web.asked == ["/cat.png"]
    assert len(await uploads(world)) == 1
    assert len(await world.calls("/f/conversation")) == 3
    await world.close()


async def test_a_turn_that_is_given_up_leaves_the_upload_to_the_next() -> None:
    world = Loopback()
    await world.rule(path="/backend-api/files", stall=True, times=1)
    exchange = world.exchange(asked("See", Image(DATA_URL)))

    async def turn(number: int) -> list[list[Event]]:
        numbered = structs.replace(exchange, id=f"{exchange.id}.{number}")
        return [batch async for batch in world.upstream.stream(numbered, world.transport)]

    first = asyncio.create_task(turn(0))
    await begun(world, "/backend-api/files")
    second = asyncio.create_task(turn(1))
    first.cancel()
    assert await second
    assert len(await world.calls("/backend-api/files")) == 2
    await world.close()


async def test_pictures_of_every_message_are_shown_there() -> None:
    world = Loopback()
    other = base64.b64encode(OTHER_PNG).decode()
    earlier, answer = asked("One", Image(DATA_URL)), Message("assistant", (Text("I see."),))
    await world.ask(earlier, answer, asked("Two", Image(other)))
    assert len(await uploads(world)) == 2
    messages = (await world.calls("/f/conversation"))[-1]["body"]["messages"]
    assert [message["content"]["content_type"] for message in messages] == [
        "multimodal_text",
        "text",
        "multimodal_text",
    ]
    await world.close()


async def test_an_echoed_history_with_pictures_is_not_an_answer() -> None:
    world = Loopback()
    answer = Message("assistant", (Text("I see a cat."),))
    events = await world.ask(
        asked("One", Image(DATA_URL)), answer, asked(directive(text="New.", echo_history=True), Image(DATA_URL))
    )
    assert text_of(events) == "New."
    await world.close()


async def test_a_refused_upload_names_the_field() -> None:
    world = Loopback()
    await world.rule(path="/backend-api/files", status=413, body={"detail": "Too large"})
    with pytest.raises(UpstreamRejected) as caught:
        await world.ask(asked("See", Image(DATA_URL, where=WHERE)))
    assert (caught.value.status, caught.value.param, caught.value.code) == (413, WHERE, "file_too_large")
    assert await world.calls("/f/conversation") == []
    await world.close()


async def test_one_failed_upload_ends_the_others() -> None:
    world = Loopback()
    await world.rule(path="/uploaded", status=500, times=1)
    parts = [Image(base64.b64encode(PNG + bytes([number])).decode()) for number in range(8)]
    with pytest.raises(UpstreamError):
        await world.ask(asked(*parts))
    assert await world.calls("/f/conversation") == []
    await world.close()


# Files that are kept.


async def test_a_kept_file_is_used_where_it_is() -> None:
    world = Loopback(tokens=",".join(f"loopback-{number}" for number in range(6)))
    stored = await kept(world)
    for number in range(4):
        part = Image(file_id="file_x", stored=stored)
        assert "kept.png (image/png, 70 bytes, 1x1)" in text_of(await world.ask(asked(f"See {number}", part)))
    accounts = {call["account"] for call in await world.calls("/f/conversation")}
    assert accounts == {(await world.calls("/backend-api/files"))[0]["account"]}
    assert len(await uploads(world)) == 1
    await world.close()


async def test_a_kept_document_is_no_picture() -> None:
    world = Loopback()
    stored = StoredFile("file_1", digest("loopback-a"), media_type="application/pdf")
    with pytest.raises(InvalidRequest) as caught:
        await world.ask(asked(Image(file_id="file_x", stored=stored, where=WHERE)))
    assert (caught.value.param, caught.value.code) == (WHERE, "invalid_image")
    await world.close()


class Pinned(Struct, frozen=True):
    id: str
    files: tuple[str, ...]
    continues: str | None
    raised: type[GatewayError]
    status: int
    code: str


PINNED = [
    Pinned("files of two accounts", ("loopback-a", "loopback-b"), None, InvalidRequest, 400, "file_in_other_account"),
    Pinned(
        "a conversation in another account", ("loopback-a",), "loopback-b", InvalidRequest, 400, "file_in_other_account"
    ),
    Pinned("an account that is gone", ("loopback-z",), None, UpstreamError, 409, "account_unavailable"),
]


@pytest.mark.parametrize("case", PINNED, ids=lambda case: case.id)
async def test_one_account_answers_or_none(case: Pinned) -> None:
    world = Loopback(tokens="loopback-a,loopback-b")
    parts = [
        File(file_id="x", stored=StoredFile(f"file_{number}", digest(token)), where=f"messages[0].content[{number}]")
        for number, token in enumerate(case.files)
    ]
    continues = Turn("c1", "m1", digest(case.continues), kept=True) if case.continues else None
    with pytest.raises(case.raised) as caught:
        await world.ask(asked(*parts), continues=continues)
    assert isinstance(caught.value, GatewayError)
    assert (caught.value.status, caught.value.code) == (case.status, case.code)
    assert await world.calls() == []
    await world.close()


async def test_what_a_turn_made_is_copied_for_the_next() -> None:
    world = Loopback()
    await world.ask("Hi", principal=OWNER)
    owner = (await world.calls("/f/conversation"))[-1]["account"]
    made = world.app.state.world.blobs.make(owner, PNG, "made.png", "image/png", "c1")
    account = OWNER.account.digest if OWNER.account else ""
    part = Image(file_id="x", stored=StoredFile(made.id, account, conversation_id="c1"))
    assert "file.png (image/png, 70 bytes, 1x1)" in text_of(await world.ask(asked("See", part), principal=OWNER))
    assert [body["file_name"] for body in await uploads(world)] == ["file.png"]
    await world.close()


async def test_what_a_turn_made_and_is_gone_is_named() -> None:
    world = Loopback()
    part = Image(file_id="x", stored=StoredFile("file_1", digest("loopback-a"), conversation_id="c1"), where=WHERE)
    with pytest.raises(InvalidRequest) as caught:
        await world.ask(asked("See", part))
    assert (caught.value.param, caught.value.code) == (WHERE, "file_not_found")
    await world.close()
