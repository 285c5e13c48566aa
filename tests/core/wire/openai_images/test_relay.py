"""An Images request on its way to a vendor: what of it changes, and where the vendor's stream ends."""

import json
from typing import Any

import pytest
from msgspec import Struct, structs

from core.multipart import read_form
from core.request import ChatRequest
from core.wire.openai_images.relay import can_pass, is_last, passing_body
from core.wire.openai_images.requests import parse_request, read_query

FORM = "multipart/form-data; boundary=cut"


def form(**texts: str) -> bytes:
    fields = {"prompt": "a cat", **texts}
    parts = [
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
    ]
    return "".join((*parts, "--cut--\r\n")).encode()


class Case(Struct, frozen=True):
    """`stream` is what the gateway gives in place of what the body says."""

    id: str
    fields: dict[str, Any]
    expected: dict[str, Any]
    model: str = "m"
    stream: bool | None = None


CASES = [
    Case("the same model is the same body", {"model": "m"}, {"model": "m"}),
    Case("another name takes its place", {"model": "acme/m"}, {"model": "m"}),
    Case("a model that was not named is", {}, {"model": "m"}),
    Case("a stream passes", {"model": "m", "stream": True}, {"model": "m", "stream": True}),
    Case(
        "a stream that is not given is not asked for",
        {"model": "m", "stream": True},
        {"model": "m", "stream": False},
        stream=False,
    ),
    Case("one that the URL asked for is", {"model": "m"}, {"model": "m", "stream": True}, stream=True),
]


def parsed(body: bytes, content_type: str, stream: bool | None) -> ChatRequest:
    request = parse_request("generation", body, content_type)
    return request if stream is None else structs.replace(request, stream=stream)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_body_passes(case: Case) -> None:
    body = json.dumps({"prompt": "a cat", **case.fields}).encode()
    passed = passing_body(body, None, parsed(body, "application/json", case.stream), case.model)
    assert json.loads(passed) == {"prompt": "a cat", **case.expected}
    assert (passed == body) is (case.fields == case.expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_form_passes(case: Case) -> None:
    body = form(**{name: json.dumps(value).strip('"') for name, value in case.fields.items()})
    passed = passing_body(body, FORM, parsed(body, FORM, case.stream), case.model)
    texts = {part.name: part.value for part in read_form(passed, FORM)}
    expected = {name: json.dumps(value).strip('"') for name, value in case.expected.items() if value is not False}
    assert texts == {"prompt": "a cat", **expected}


@pytest.mark.parametrize(
    ("query", "passes"),
    [("", True), ("events=openai", True), ("events=aurora", False), ("stream=true", False)],
)
def test_a_vendor_has_no_events_but_its_own(query: str, passes: bool) -> None:
    request = read_query(parsed(b'{"prompt":"a cat","model":"acme/m","stream":true}', "application/json", None), query)
    assert can_pass(request) is passes
    assert can_pass(structs.replace(request, stream=False))


def test_a_finished_picture_is_the_last_word() -> None:
    assert is_last(b'event: image_edit.completed\ndata: {"type":"image_edit.completed"}\n\n')
    assert not is_last(b'data: {"type":"image_edit.partial_image"}\n\n')
