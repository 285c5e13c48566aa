"""Hostile requests to the routes besides turns: refused politely, by the field, and in few words."""

import json
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import Gateway, error_of
from tests.core.upstreams.chatgpt_web.test_files import PNG

LONG = "x" * 300_000
LONGEST_ANSWER_BYTES = 8_000
"""Of a refusal, and of all the headers of an answer: what clients and proxies take."""


class Case(Struct, frozen=True):
    id: str
    path: str
    sent: dict[str, Any]
    param: str | None


def form(*fields: tuple[str, str], name: str = "file", data: bytes = b"hello") -> dict[str, Any]:
    return {"data": dict(fields), "files": {name: ("a", data)}}


SPEECH: dict[str, Any] = {"input": "Hello", "model": "tts-1", "voice": "alloy"}
PICTURE: dict[str, Any] = {"prompt": "A heron"}

REFUSED = [
    Case("a file's purpose", "/v1/files", form(("purpose", LONG)), "purpose"),
    Case("a transcript's format", "/v1/audio/transcriptions", form(("response_format", LONG)), "response_format"),
    Case("a transcript's stream", "/v1/audio/transcriptions", form(("stream", LONG)), "stream"),
    Case("a transcript's language", "/v1/audio/transcriptions", form(("language", LONG)), "language"),
    Case("speech's format", "/v1/audio/speech", {"json": {**SPEECH, "response_format": LONG}}, "response_format"),
    Case("speech's stream", "/v1/audio/speech", {"json": {**SPEECH, "stream_format": LONG}}, "stream_format"),
    Case("speech's voice", "/v1/audio/speech", {"json": {**SPEECH, "voice": LONG}}, "voice"),
    Case(
        "a picture's form", "/v1/images/generations", {"json": {**PICTURE, "response_format": LONG}}, "response_format"
    ),
    Case("a message's part", "/v1/images/generations", {"json": {"input": [{"type": LONG}]}}, "input[0].type"),
    Case("an id", "/v1/images/generations", {"json": {**PICTURE, "image": "file_" + LONG}}, "image"),
    Case("a stream in a form", "/v1/images/edits", form(("stream", LONG), name="image", data=PNG), "stream"),
    Case("a model of vectors", "/v1/embeddings", {"json": {"model": "chatgpt_web/" + LONG, "input": "a"}}, None),
    Case("a refresh token", "/auth/refresh", {"json": {"refresh_token": LONG[:20_000]}}, "refresh_token"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_refusal_does_not_repeat_what_is_long(gateway_server: Gateway, case: Case) -> None:
    answer = gateway_server.web.post(case.path, **case.sent)
    assert error_of(answer)["param"] == case.param
    assert answer.status_code in (400, 503)
    assert len(answer.content) < LONGEST_ANSWER_BYTES


MANY = {f"unknown_{number}": 1 for number in range(10_000)}
IGNORED = [
    Case("a chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "model": "auto"}, None),
    Case("speech", "/v1/audio/speech", SPEECH, None),
    Case("a picture", "/v1/images/generations", PICTURE, None),
]


@pytest.mark.parametrize("case", IGNORED, ids=lambda case: case.id)
def test_many_unknown_fields_do_not_make_an_answer_unreadable(gateway_server: Gateway, case: Case) -> None:
    answer = gateway_server.web.post(case.path, json={**case.sent, **MANY})
    assert answer.status_code == 200
    assert answer.headers["x-isthmus-ignored-params"].endswith("...")
    assert sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) < LONGEST_ANSWER_BYTES


DEEP = b'{"input":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
JSON_ROUTES = [
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/audio/speech",
    "/v1/embeddings",
    "/v1/rerank",
    "/backend-api/conversation",
]
NO_JSON = [
    (b"", "nothing"),
    (b"null", "null"),
    (b'{"user": "\xff"}', "bytes that are no text"),
    (json.dumps({"user": "\ud800"}).encode(), "half a character"),
    (DEEP, "too deep"),
]


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize("body", [body for body, _ in NO_JSON], ids=[name for _, name in NO_JSON])
def test_what_is_no_object_is_refused_everywhere(gateway_server: Gateway, path: str, body: bytes) -> None:
    answer = gateway_server.web.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, error_of(answer)["type"]) == (400, "invalid_request_error")


INSIDE = "http://169.254.169.254/latest/meta-data/"
EDIT = "/v1/images/edits"


def chat(part: dict[str, Any]) -> dict[str, Any]:
    return {"json": {"model": "auto", "messages": [{"role": "user", "content": [part]}]}}


def response(part: dict[str, Any]) -> dict[str, Any]:
    return {"json": {"model": "auto", "input": [{"role": "user", "content": [part]}]}}


def edit(**fields: Any) -> dict[str, Any]:
    return {"json": {"prompt": "A heron", **fields}}


OBJECT = {"url": INSIDE}
PICTURE_PART = {"type": "input_image", "image_url": INSIDE}
RESULT = {"type": "function_call_output", "call_id": "c", "output": [PICTURE_PART]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
ADDRESSED = [
    Case("image_url", CHAT, chat({"type": "image_url", "image_url": OBJECT}), "messages[0].content[0].image_url.url"),
    Case(
        "a bare image_url", CHAT, chat({"type": "image_url", "image_url": INSIDE}), "messages[0].content[0].image_url"
    ),
    Case("image", CHAT, chat({"type": "image", "url": INSIDE}), "messages[0].content[0].url"),
    Case(
        "file_url", CHAT, chat({"type": "file", "file": {"file_url": INSIDE}}), "messages[0].content[0].file.file_url"
    ),
    Case("input_image", RESPONSES, response(PICTURE_PART), "input[0].content[0].image_url"),
    Case("input_file", RESPONSES, response({"type": "input_file", "file_url": INSIDE}), "input[0].content[0].file_url"),
    Case(
        "a tool's result",
        RESPONSES,
        {"json": {"model": "auto", "input": [{"role": "user", "content": "Hm"}, CALL, RESULT]}},
        "input[2].output[0].image_url",
    ),
    Case("an edit's image", EDIT, edit(image=INSIDE), "image"),
    Case("an edit's list", EDIT, edit(images=[OBJECT]), "images[0].url"),
    Case("an edit's image_url", EDIT, edit(image_url=OBJECT), "image_url.url"),
    Case("an edit's mask", "/v1/images/generations", edit(mask=OBJECT), "mask.url"),
    Case("an edit's input", EDIT, edit(input=[{"content": [PICTURE_PART]}]), "input[0].content[0].image_url"),
    Case("an edit's messages", EDIT, edit(messages=[{"content": [PICTURE_PART]}]), "messages[0].content[0].image_url"),
    Case("an edit's form", EDIT, {"files": {"image_url": (None, INSIDE), "prompt": (None, "x")}}, "image_url[0]"),
    Case("an edit's mask in a form", EDIT, {"files": {"mask": (None, INSIDE), "image": PNG}}, "mask[0]"),
]


@pytest.mark.parametrize("case", ADDRESSED, ids=lambda case: case.id)
def test_every_field_that_takes_an_address_is_guarded(gateway_server: Gateway, case: Case) -> None:
    answer = gateway_server.web.post(case.path, **case.sent)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (400, case.param), error
    assert "its host has no public address" in error["message"]
