"""Forms: what a client sends is what is read, and what is no form is refused."""

import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import InvalidRequest
from core.multipart import MAX_PARTS, FormFile, FormPart, is_form, read_form, with_texts

TYPE = "multipart/form-data; boundary=cut"


def form(*parts: str, end: str = "--cut--\r\n") -> bytes:
    """Return a form of these parts, each with its headers, an empty line and its data."""
    return ("".join(f"--cut\r\n{part}\r\n" for part in parts) + end).encode()


def named(name: str, value: str = "a value") -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


FILE = (
    'Content-Disposition: form-data; name="image[]"; filename="c\u00e4t.png"\r\n'
    "Content-Type: IMAGE/PNG; q=1\r\n\r\nbytes"
)


class Case(Struct, frozen=True):
    id: str
    body: bytes
    expected: tuple[FormPart, ...]
    content_type: str = TYPE


CASES = [
    Case("a text", form(named("prompt", "a h\u00e9ron")), (FormPart("prompt", "a h\u00e9ron"),)),
    Case("an empty text", form(named("prompt", "")), (FormPart("prompt", ""),)),
    Case(
        "a file has a name and a type",
        form(FILE),
        (FormPart("image[]", FormFile(b"bytes", "c\u00e4t.png", "image/png")),),
    ),
    Case(
        "a file without a type or a name",
        form('content-disposition: form-data; name="mask"; filename=""\r\n\r\n'),
        (FormPart("mask", FormFile(b"")),),
    ),
    Case(
        "a name as often as it comes, in order",
        form(named("image", "1"), named("n", "2"), named("image", "3")),
        (FormPart("image", "1"), FormPart("n", "2"), FormPart("image", "3")),
    ),
    Case("a boundary in quotes", form(named("a")), (FormPart("a", "a value"),), 'Multipart/Form-Data; boundary="cut"'),
    Case("a form of nothing", form(), ()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_form(case: Case) -> None:
    assert is_form(case.content_type)
    assert read_form(case.body, case.content_type) == case.expected


class Bad(Struct, frozen=True):
    id: str
    body: bytes
    says: str
    content_type: str = TYPE
    param: str | None = None


BAD = [
    Bad("no boundary", form(), "names no boundary", "multipart/form-data"),
    Bad("another boundary", form(named("a")), "boundary", "multipart/form-data; boundary=torn"),
    Bad("a boundary that is too long", form(), "Boundary length", f"multipart/form-data; boundary={'x' * 300}"),
    Bad("a form that is cut", form(named("a"), end=""), "ends before its last boundary"),
    Bad("no form at all", b'{"prompt": "a heron"}', "boundary"),
    Bad("nothing", b"", "ends before its last boundary"),
    Bad("a part without a name", form("Content-Disposition: form-data\r\n\r\nx"), "part 1 has no name"),
    Bad("a part without headers", form("\r\nx"), "part 1 has no name"),
    Bad("a part of another kind", form('Content-Disposition: attachment; name="a"\r\n\r\nx'), "part 1 has no name"),
    Bad("a header without an end", form("x" * 5000), ""),
    Bad("too many parts", form(*[named("a")] * (MAX_PARTS + 1)), f"more than {MAX_PARTS} parts"),
    Bad("a text that is none", form(named("prompt", "?")).replace(b"?", b"\xff"), "not text in UTF-8", param="prompt"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_what_is_no_form_is_refused(case: Bad) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_form(case.body, case.content_type)
    assert case.says in caught.value.message
    assert (caught.value.param, caught.value.code) == (case.param, "invalid_form")


@pytest.mark.parametrize("content_type", ["application/json", "", "multipart/mixed; boundary=cut", "text/plain"])
def test_other_bodies_are_no_forms(content_type: str) -> None:
    assert not is_form(content_type)


NAMES = st.text("abcxyz[]_", min_size=1, max_size=8)


FILES = st.dictionaries(NAMES, st.binary(max_size=60), min_size=1, max_size=4)


@given(FILES, st.dictionaries(NAMES, st.text(max_size=20), max_size=4))
def test_what_a_client_sends_is_read(files: dict[str, bytes], fields: dict[str, str]) -> None:
    sent = {name: ("a.bin", data) for name, data in files.items()}
    request = httpx.Request("POST", "http://gateway", data=fields, files=sent)
    parts = read_form(request.read(), request.headers["content-type"])
    assert {part.name: part.value.data for part in parts if isinstance(part.value, FormFile)} == files
    assert {part.name: part.value for part in parts if isinstance(part.value, str)} == fields


@given(st.binary(max_size=300))
def test_garbage_is_refused_politely(garbage: bytes) -> None:
    try:
        read_form(form(named("a")) + garbage + form(named("b")), TYPE)
        read_form(garbage, TYPE)
    except InvalidRequest:
        return


REPLACED = [
    Case("a text is replaced wherever it stands", form(named("a"), named("model", "old"), FILE), ()),
    Case("as often as it comes", form(named("model", "1"), named("a"), named("model", "2"), named("model", "3")), ()),
    Case("when it is all there is", form(named("model"), named("model")), ()),
    Case("behind empty lines", b"\n\r\n" + form(named("model"), named("a")), ()),
    Case(
        "a part that is named twice",
        form(f'Content-Disposition: form-data; name="a"\r\n{named("model")}', named("b")),
        (),
    ),
    Case(
        "headers in another order",
        form('X-A: 1\r\nContent-disposition: form-data; name="model"\r\nX-B: 2\r\n\r\no'),
        (),
    ),
    Case("a name without quotes", form("Content-Disposition: form-data; name=model\r\n\r\nold"), ()),
    Case("a file of that name goes", form('Content-Disposition: form-data; name="model"; filename="m"\r\n\r\nx'), ()),
    Case("a field that is not there is added", form(named("a"), FILE), ()),
    Case("a name that only ends alike is another", form(named("my-model"), named("filename=model")), ()),
]


@pytest.mark.parametrize("case", REPLACED, ids=lambda case: case.id)
def test_a_text_takes_the_place_of_a_field(case: Case) -> None:
    others = [part for part in read_form(case.body, TYPE) if part.name != "model"]
    parts = read_form(with_texts(case.body, TYPE, {"model": "n\u00e9w \\1"}), TYPE)
    assert [part for part in parts if part.name != "model"] == others
    assert [part.value for part in parts if part.name == "model"] == ["n\u00e9w \\1"]


@pytest.mark.parametrize("case", REPLACED, ids=lambda case: case.id)
def test_a_field_is_taken_out(case: Case) -> None:
    others = tuple(part for part in read_form(case.body, TYPE) if part.name != "model")
    assert read_form(with_texts(case.body, TYPE, {"model": None}), TYPE) == others


@given(
    names=st.lists(st.sampled_from(["model", "prompt", "n"]), max_size=4, unique=True),
    data=st.binary(max_size=30),
)
def test_whatever_is_in_a_form_only_that_field_changes(names: list[str], data: bytes) -> None:
    files: Any = {"image": ("model", data), **{name: (None, f"old {name}") for name in names}}
    request = httpx.Request("POST", "http://x", files=files)
    body, content_type = request.read(), request.headers["content-type"]
    parts = read_form(with_texts(body, content_type, {"model": "new"}), content_type)
    expected = {part.name: part.value for part in read_form(body, content_type)} | {"model": "new"}
    assert {part.name: part.value for part in parts} == expected
    assert len(parts) == len(expected)


def test_a_file_full_of_what_looks_like_parts_is_passed_over_at_once() -> None:
    body = form(named("x", "x--cut\r\na: b\r\n" * 100_000), named("model", "old"))
    began = time.process_time()
    parts = read_form(with_texts(body, TYPE, {"model": "new"}), TYPE)
    assert [part.value for part in parts if part.name == "model"] == ["new"]
    assert time.process_time() - began < 2
