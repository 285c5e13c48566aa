"""Files in an account: three steps in, four ways out, and what each of them may answer instead."""

from base64 import b64decode
from typing import Any

import pytest
from msgspec import Struct

from core.accounts import Account, Secret
from core.contracts import Context
from core.errors import (
    GatewayError,
    NotFound,
    ProtocolViolation,
    RateLimited,
    Unsupported,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from core.media import Blob
from core.request import StoredFile
from core.services import Upload
from core.upstreams.chatgpt_web.files import HEAD_BYTES, INDEX_POLLS
from tests.core.upstreams.chatgpt_web.worlds import POOL, Fake, Loopback, Said, World, told

pytestmark = pytest.mark.anyio

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
CONTEXT = Context(id="a" * 24, created=1_790_000_000, principal=POOL)
ACCOUNT = Account(Secret("loopback-a")).digest
STORAGE = "/storage/1"
CREATED = told({"status": "success", "file_id": "file_01", "upload_url": f"loopback://chatgpt{STORAGE}?sig=s"})
USUAL = {
    "/files": CREATED,
    STORAGE: Said(b"", 201, {}),
    "/files/file_01/uploaded": told({"status": "success"}),
    "/files/file_01": told({"id": "file_01", "retrieval_index_status": "success"}),
}


def fake(answers: dict[str, Said | list[Said]] | None = None, **environ: str) -> Fake:
    return Fake({**USUAL, **(answers or {})}, **environ)


async def put(world: World, data: bytes = PNG, name: str = "a.png", declared: str = "") -> StoredFile:
    return await world.upstream.upload(Upload(name, declared, Blob(data, declared), "vision"), CONTEXT, world.transport)


async def read(world: World, file: StoredFile) -> bytes:
    async with world.upstream.open_file(file, CONTEXT, world.transport) as download:
        return b"".join([chunk async for chunk in download.chunks])


class Streamed:
    """Bytes that come in pieces, as an upload from disk does."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))
        self.taken = 0

    async def chunks(self) -> Any:
        self.taken = 0
        for piece in self._pieces:
            self.taken += 1
            yield piece


# In.


async def test_an_upload_takes_three_steps_and_the_storage_gets_no_token() -> None:
    world = fake()
    stored = await put(world)
    assert [(heard.method, heard.path) for heard in world.heard] == [
        ("POST", "/files"),
        ("PUT", STORAGE),
        ("POST", "/files/file_01/uploaded"),
    ]
    announced, sent, confirmed = world.heard
    assert announced.json == {
        "file_name": "a.png",
        "file_size": len(PNG),
        "use_case": "multimodal",
        "mime_type": "image/png",
        "timezone_offset_min": 0,
        "width": 1,
        "height": 1,
    }
    assert "authorization" not in sent.headers
    assert (sent.headers["x-ms-blob-type"], sent.headers["x-ms-version"]) == ("BlockBlob", "2020-04-08")
    assert (sent.headers["content-type"], sent.body) == ("image/png", PNG)
    assert confirmed.json == {}
    assert stored == StoredFile(
        id="file_01",
        account=ACCOUNT,
        name="a.png",
        media_type="image/png",
        size=len(PNG),
        purpose="vision",
        width=1,
        height=1,
    )


USES = [
    (b"%PDF-1.7", "a.pdf", "my_files"),
    (b"plain words", "a.txt", "my_files"),
    (b"a,b\n1,2\n", "a.csv", "ace_upload"),
    (b'{"a": 1}', "a.json", "ace_upload"),
    (b"\x00\x01\x02", "a.bin", "ace_upload"),
    (b"<svg/>", "a.svg", "my_files"),
    (PNG, "a.txt", "multimodal"),
]


@pytest.mark.parametrize(("data", "name", "use_case"), USES, ids=[name for _, name, _ in USES])
async def test_what_a_file_is_for_is_told_by_what_it_is(data: bytes, name: str, use_case: str) -> None:
    world = fake()
    await put(world, data, name)
    assert world.heard[0].json["use_case"] == use_case


async def test_a_stream_is_looked_at_once_and_sent_from_its_beginning() -> None:
    world, content = fake(), Streamed(PNG, b"\0" * HEAD_BYTES, b"more")
    await world.upstream.upload(Upload("a", "", content), CONTEXT, world.transport)
    assert world.heard[0].json["mime_type"] == "image/png"
    assert world.heard[1].body == PNG + b"\0" * HEAD_BYTES + b"more"


async def test_only_the_head_of_a_stream_is_looked_at() -> None:
    world, content = fake({"/files": Said(status=500)}), Streamed(PNG, b"\0" * HEAD_BYTES, b"more")
    with pytest.raises(UpstreamUnavailable):
        await world.upstream.upload(Upload("a", "", content), CONTEXT, world.transport)
    assert content.taken == 2


async def test_a_document_is_waited_for_until_it_can_be_searched() -> None:
    statuses = (None, "pending", None, None, "success")
    looks = [told({"retrieval_index_status": status}) for status in statuses]
    world = fake({"/files/file_01": looks})
    await put(world, b"%PDF-1.7", "a.pdf")
    assert len(world.asked("/files/file_01")) == 5
    assert world.pauses.taken == [0.2, 0.4, 0.8, 1.0]


async def test_a_document_of_which_nothing_is_said_is_not_waited_for() -> None:
    world = fake({"/files/file_01": told({"id": "file_01"})})
    await put(world, b"%PDF-1.7", "a.pdf")
    assert world.pauses.taken == []


class Failure(Struct, frozen=True):
    id: str
    answers: dict[str, Said | list[Said]]
    raised: type[GatewayError]
    code: str | None
    status: int


LONG_INDEXING: list[Said] = [told({"retrieval_index_status": None})]
PAGE = Said(b"<html>no</html>", 200, {"content-type": "text/html"})
FAILURES = [
    Failure(
        "a success that is none",
        {"/files": told({"status": "error", "error_code": "quota", "error_message": "Full"})},
        UpstreamRejected,
        "quota",
        400,
    ),
    Failure(
        "a success that is none, without a reason",
        {"/files": told({"status": "error"})},
        UpstreamRejected,
        "file_upload_error",
        400,
    ),
    Failure(
        "a file that is too large",
        {"/files": told({"detail": "Too large"}, 413)},
        UpstreamRejected,
        "file_too_large",
        413,
    ),
    Failure(
        "a file that is refused", {"/files": told({"detail": "No"}, 400)}, UpstreamRejected, "file_upload_error", 400
    ),
    Failure(
        "no more files today", {"/files": told({"detail": "Wait"}, 429)}, RateLimited, "file_upload_limit_reached", 429
    ),
    Failure("no id", {"/files": told({"status": "success", "upload_url": "x://y"})}, ProtocolViolation, None, 502),
    Failure(
        "an id that is a path",
        {"/files": told({"file_id": "../x", "upload_url": "x://y"})},
        ProtocolViolation,
        None,
        502,
    ),
    Failure("no place for the bytes", {"/files": told({"file_id": "file_01"})}, ProtocolViolation, None, 502),
    Failure("a page", {"/files": PAGE}, UpstreamUnavailable, None, 502),
    Failure("the storage refuses", {STORAGE: Said(b"", 403, {})}, UpstreamUnavailable, "file_upload_error", 502),
    Failure("the service fails", {"/files": Said(b"", 500, {})}, UpstreamUnavailable, None, 503),
    Failure(
        "the bytes did not arrive",
        {"/files/file_01/uploaded": told({"status": "error", "error_message": "Incomplete"})},
        UpstreamRejected,
        "file_upload_error",
        400,
    ),
    Failure(
        "an unreadable document",
        {"/files/file_01": told({"retrieval_index_status": "failed"})},
        UpstreamRejected,
        "file_processing_failed",
        400,
    ),
    Failure(
        "a document that is never ready",
        {"/files/file_01": LONG_INDEXING},
        UpstreamTimeout,
        "file_processing_timeout",
        504,
    ),
    Failure("a document that is gone", {"/files/file_01": Said(status=404)}, NotFound, "file_not_found", 404),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
async def test_an_upload_may_fail(case: Failure) -> None:
    world = fake(case.answers)
    with pytest.raises(case.raised) as caught:
        await put(world, b"%PDF-1.7", "a.pdf")
    assert (caught.value.code, caught.value.status) == (case.code, case.status)
    assert "sig=" not in caught.value.message
    assert len(world.pauses.taken) in (0, INDEX_POLLS)


async def test_an_account_that_takes_no_files_goes_on_talking() -> None:
    waiting = told({"detail": "Wait"}, 429, **{"retry-after": "60"})
    world = fake({"/files": [waiting, CREATED]}, tokens="loopback-a,loopback-b")
    stored = await put(world)
    tried = [heard.headers["authorization"] for heard in world.asked("/files")]
    assert len(set(tried)) == 2
    assert stored.account == Account(Secret(tried[1].removeprefix("Bearer "))).digest
    assert world.pool.status().usable == 2


async def test_a_failure_that_is_not_the_accounts_is_not_tried_with_another() -> None:
    world = fake({STORAGE: Said(b"", 403, {})}, tokens="loopback-a,loopback-b")
    with pytest.raises(UpstreamUnavailable):
        await put(world)
    assert len(world.asked("/files")) == 1


async def test_all_files_of_a_caller_are_in_one_account() -> None:
    world = Loopback(tokens=",".join(f"loopback-{number}" for number in range(8)))
    stored = [await put(world, PNG, f"{number}.png") for number in range(4)]
    assert len({file.account for file in stored}) == 1
    await world.close()


# Described and removed.


async def test_a_file_is_described_by_the_service() -> None:
    world = Loopback()
    stored = await put(world)
    blank = StoredFile(stored.id, stored.account)
    described = await world.upstream.describe(blank, CONTEXT, world.transport)
    assert (described.name, described.size, described.media_type) == ("a.png", len(PNG), "image/png")
    await world.close()


async def test_what_a_turn_made_is_known_to_its_conversation_only() -> None:
    made = StoredFile("file_02", ACCOUNT, conversation_id="c1")
    world = fake()
    assert await world.upstream.describe(made, CONTEXT, world.transport) == made
    assert world.heard == []


async def test_a_removed_file_is_gone() -> None:
    world = Loopback()
    stored = await put(world)
    await world.upstream.remove_file(stored, CONTEXT, world.transport)
    for call in (world.upstream.describe, world.upstream.remove_file):
        with pytest.raises(NotFound):
            await call(stored, CONTEXT, world.transport)
    with pytest.raises(NotFound):
        await read(world, stored)
    await world.close()


NOT_REMOVED = [
    ("a call that the service does not have", 404, Unsupported),
    ("a call that the service forbids", 405, Unsupported),
    ("a service that fails", 500, UpstreamUnavailable),
]


@pytest.mark.parametrize(
    ("status", "raised"), [case[1:] for case in NOT_REMOVED], ids=[case[0] for case in NOT_REMOVED]
)
async def test_a_removal_may_be_refused(status: int, raised: type[GatewayError]) -> None:
    known, refused = told({"id": "file_01"}), told({"detail": "No"}, status)
    answers = [refused, known] if status == 404 else [refused]
    world = fake({"/files/file_01": answers})
    with pytest.raises(raised):
        await world.upstream.remove_file(StoredFile("file_01", ACCOUNT), CONTEXT, world.transport)


async def test_a_file_of_an_account_that_is_gone_is_a_conflict() -> None:
    world = fake()
    with pytest.raises(UpstreamError) as caught:
        await world.upstream.describe(StoredFile("file_01", "0" * 16), CONTEXT, world.transport)
    assert (caught.value.status, caught.value.code) == (409, "account_unavailable")


# Out.

UPLOADED = StoredFile("file_01", ACCOUNT)
MADE = StoredFile("file_01", ACCOUNT, conversation_id="c1")
WRITTEN = StoredFile("file_01", ACCOUNT, conversation_id="c1", message_id="m1", path="/mnt/data/a b.csv")
ABROAD, AT_HOME = "loopback://chatgpt/blob?sig=s", "loopback://chatgpt/backend-api/estuary/content?sig=s"
ELSEWHERE = told({"status": "error", "error_code": "file_not_found"})
GONE = told({"detail": "Not found"}, 404)
BYTES = Said(b"bytes", 200, {"content-type": "text/csv; charset=utf-8"})


class Way(Struct, frozen=True):
    id: str
    file: StoredFile
    answers: dict[str, Said]
    asked: list[str]
    token: bool


ATTACHMENT, NEWER = "/conversation/c1/attachment/file_01/download", "/files/download/file_01"
PLAIN, SANDBOX = "/files/file_01/download", "/conversation/c1/interpreter/download"
WAYS = [
    Way("an upload, from the storage", UPLOADED, {PLAIN: told({"download_url": ABROAD})}, [PLAIN, "/blob"], False),
    Way(
        "an upload, by the newer call",
        UPLOADED,
        {PLAIN: ELSEWHERE, NEWER: told({"url": AT_HOME})},
        [PLAIN, NEWER, "/estuary/content"],
        True,
    ),
    Way(
        "a picture of a turn",
        MADE,
        {ATTACHMENT: told({"download_url": AT_HOME})},
        [ATTACHMENT, "/estuary/content"],
        True,
    ),
    Way(
        "a picture of a turn, by the newer call",
        MADE,
        {ATTACHMENT: GONE, NEWER: told({"download_url": "/backend-api/estuary/content?x=y"})},
        [ATTACHMENT, NEWER, "/estuary/content"],
        True,
    ),
    Way(
        "a picture of a turn, by the plain call",
        MADE,
        {ATTACHMENT: GONE, NEWER: ELSEWHERE, PLAIN: told({"download_url": ABROAD})},
        [ATTACHMENT, NEWER, PLAIN, "/blob"],
        False,
    ),
    Way("a file of the sandbox", WRITTEN, {SANDBOX: told({"download_url": ABROAD})}, [SANDBOX, "/blob"], False),
]


@pytest.mark.parametrize("case", WAYS, ids=lambda case: case.id)
async def test_a_file_is_found_where_it_is(case: Way) -> None:
    world = Fake({**case.answers, "/blob": BYTES, "/estuary/content": BYTES})
    async with world.upstream.open_file(case.file, CONTEXT, world.transport) as download:
        assert b"".join([chunk async for chunk in download.chunks]) == b"bytes"
        assert download.media_type == "text/csv"
    assert [heard.path for heard in world.heard] == case.asked
    assert ("authorization" in world.heard[-1].headers) is case.token


async def test_the_sandbox_is_asked_for_message_and_path() -> None:
    world = Loopback()
    await put(world)
    owner = (await world.calls("/files"))[0]["account"]
    world.app.state.world.blobs.make(owner, b"a,b", "a b.csv", "text/csv", "c1", "/mnt/data/a b.csv")
    assert await read(world, WRITTEN) == b"a,b"
    await world.close()


NOT_THERE = [
    ("nobody knows it", {PLAIN: ELSEWHERE, NEWER: GONE}, NotFound),
    ("the storage has it no more", {PLAIN: told({"download_url": ABROAD}), "/blob": GONE}, NotFound),
    ("the storage fails", {PLAIN: told({"download_url": ABROAD}), "/blob": Said(b"", 500, {})}, UpstreamUnavailable),
    (
        "it is not given out",
        {PLAIN: told({"status": "error", "error_code": "blocked", "error_message": "No"})},
        UpstreamRejected,
    ),
    ("the call fails", {PLAIN: Said(b"", 500, {})}, UpstreamUnavailable),
]


@pytest.mark.parametrize(("answers", "raised"), [case[1:] for case in NOT_THERE], ids=[case[0] for case in NOT_THERE])
async def test_a_file_may_not_be_had(answers: dict[str, Said | list[Said]], raised: type[GatewayError]) -> None:
    with pytest.raises(raised) as caught:
        await read(Fake(answers), UPLOADED)
    assert "sig=" not in caught.value.message


async def test_a_transfer_that_breaks_off_is_an_error() -> None:
    cut = Said(b"some of it", 200, {"content-type": "text/csv"}, cut=True)
    with pytest.raises(UpstreamUnavailable):
        await read(Fake({PLAIN: told({"download_url": ABROAD}), "/blob": cut}), UPLOADED)


NAMES = [("own.png", "user-1/cat.png", "own.png"), (None, "user-1/cat.png", "cat.png"), (None, None, "file.csv")]


@pytest.mark.parametrize(("kept", "said", "expected"), NAMES)
async def test_a_download_has_a_name(kept: str | None, said: str | None, expected: str) -> None:
    world = Fake({PLAIN: told({"download_url": ABROAD, "file_name": said}), "/blob": BYTES})
    file = StoredFile("file_01", ACCOUNT, name=kept)
    async with world.upstream.open_file(file, CONTEXT, world.transport) as download:
        assert download.name == expected
