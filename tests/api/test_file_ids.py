"""File ids in a request become files, wherever they stand; what holds none is left as it is."""

from typing import Any

import pytest
from msgspec import Struct

from api.file_ids import with_files
from core.accounts import Principal
from core.contracts import Context
from core.errors import InvalidRequest
from core.request import (
    ChatRequest,
    File,
    Image,
    ImageOptions,
    Message,
    Part,
    StoredFile,
    Text,
    ToolResult,
)
from core.signing import LINK_LIFETIME_S, Signer

NOW = 1_790_000_000
PRINCIPAL = Principal("pool", key_digest="key")
SIGNER = Signer(b"key")
CONTEXT = Context(id="c" * 24, created=NOW, principal=PRINCIPAL)
KEPT = StoredFile("file_01", "0" * 16, name="cat.png", media_type="image/png", size=70)
ID = SIGNER.sign_file(KEPT, PRINCIPAL, NOW)
LINK = f"https://gateway.example/v1/files/{SIGNER.sign_link(KEPT, PRINCIPAL, NOW)}/content"
STALE = f"https://gateway.example/v1/files/{SIGNER.sign_link(KEPT, PRINCIPAL, NOW - LINK_LIFETIME_S - 1)}/content"
FOREIGN = Image(file_id="file-abc", where="messages[0].content[0].file_id")


def request(*parts: Part, **fields: Any) -> ChatRequest:
    return ChatRequest("auto", (Message("user", parts),), **fields)


def read(asked: ChatRequest, *, insists: bool = True) -> ChatRequest:
    return with_files(asked, CONTEXT, SIGNER, insists=insists)


class Case(Struct, frozen=True):
    id: str
    given: Part
    expected: Part


CASES = [
    Case("a picture", Image(file_id=ID), Image(file_id=ID, stored=KEPT)),
    Case("a file", File(file_id=ID, filename="a"), File(file_id=ID, filename="a", stored=KEPT)),
    Case(
        "a tool's result",
        ToolResult("call_1", (Text("See"), Image(file_id=ID))),
        ToolResult("call_1", (Text("See"), Image(file_id=ID, stored=KEPT))),
    ),
    Case("a link of ours", Image(url=LINK), Image(url=LINK, stored=KEPT)),
    Case("a file by a link of ours", File(url=LINK), File(url=LINK, stored=KEPT)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_names_a_file_of_ours(case: Case) -> None:
    assert read(request(Text("Hi"), case.given)).messages[0].parts == (Text("Hi"), case.expected)


def test_a_mask_may_be_a_file_of_ours() -> None:
    options = read(request(Text("Hi"), image=ImageOptions(mask=Image(file_id=ID)))).image
    assert options is not None
    assert options.mask == Image(file_id=ID, stored=KEPT)


UNTOUCHED: list[tuple[str, Part]] = [
    ("text", Text("Hi")),
    ("a URL", Image(url="https://a.example/v1/files/x/content")),
    ("a link that has expired", Image(url=STALE)),
    ("a link with more behind it", Image(url=LINK + "?x=y")),
    ("a tool's result without files", ToolResult("call_1", (Text("See"),))),
]


@pytest.mark.parametrize("part", [part for _, part in UNTOUCHED], ids=[name for name, _ in UNTOUCHED])
def test_what_names_none_is_the_same_request(part: Part) -> None:
    asked = request(part)
    assert read(asked) is asked


def test_a_foreign_id_is_refused_or_left_to_its_upstream() -> None:
    asked = request(FOREIGN)
    with pytest.raises(InvalidRequest) as caught:
        read(asked)
    assert (caught.value.param, caught.value.code) == (FOREIGN.where, "file_not_found")
    assert read(asked, insists=False) is asked
