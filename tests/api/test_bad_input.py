"""Bad input over HTTP: told with a status and a field, never a 500, never a traceback."""

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import KEY, Gateway, chat_body, error_of
from tests.conftest import LogReader

MESSAGE = {"role": "user", "content": "Say hello"}
DEEP = 10_000


class Case(Struct, frozen=True):
    """`body` is JSON to be, or bytes as they are."""

    name: str
    body: Any
    param: str | None
    status: int = 400


def with_message(**fields: Any) -> dict[str, Any]:
    return {"messages": [MESSAGE | fields]}


CASES = [
    Case("nothing", b"", None),
    Case("not JSON", b"Say hello", None),
    Case("half of JSON", b'{"messages": [', None),
    Case("JSON and more", json.dumps(chat_body()).encode() + b"}", None),
    Case("a list in place of an object", [], None),
    Case("a string in place of an object", "messages", None),
    Case("null", None, None),
    Case("a form", b"messages=hello", None),
    Case("no messages", {"model": "auto"}, "messages"),
    Case("null messages", {"messages": None}, "messages"),
    Case("empty messages", {"messages": []}, "messages"),
    Case("messages that are a string", {"messages": "Say hello"}, "messages"),
    Case("a message that is a string", {"messages": ["Say hello"]}, "messages[0]"),
    Case("a message without a role", {"messages": [MESSAGE, {"content": "x"}]}, "messages[1].role"),
    Case("an unknown role", with_message(role="queen"), "messages[0].role"),
    Case("a role that is a number", with_message(role=1), "messages[0].role"),
    Case("content that is a number", with_message(content=1), "messages[0].content"),
    Case("no content", {"messages": [{"role": "user"}]}, "messages[0].content"),
    Case("a part without a type", with_message(content=[{"text": "x"}]), "messages[0].content[0].type"),
    Case("a part of an unknown type", with_message(content=[{"type": "smell"}]), "messages[0].content[0].type"),
    Case("a text part without text", with_message(content=[{"type": "text"}]), "messages[0].content[0].text"),
    Case(
        "a picture of nothing",
        with_message(content=[{"type": "image_url", "image_url": "data:,"}]),
        "messages[0].content[0].image_url",
    ),
    Case(
        "a picture on this machine",
        with_message(content=[{"type": "image_url", "image_url": {"url": "/etc/passwd"}}]),
        "messages[0].content[0].image_url.url",
    ),
    Case(
        "a picture that the assistant shows",
        {"messages": [{"role": "assistant", "content": [{"type": "image_url", "image_url": "data:,x"}]}]},
        "messages[0].content[0].image_url",
    ),
    Case(
        "sound",
        with_message(content=[{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]),
        "messages[0].content[0].input_audio.data",
    ),
    Case("a tool message without a call", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    Case("a model that is a number", chat_body(model=1), "model"),
    Case("a stream that is a string", chat_body(stream="yes"), "stream"),
    Case("stream options that are a list", chat_body(stream_options=[]), "stream_options"),
    Case("more than one choice", chat_body(n=2), "n"),
    Case("no choice", chat_body(n=0), "n"),
    Case("a temperature that is text", chat_body(temperature="hot"), "temperature"),
    Case("a temperature out of range", chat_body(temperature=9), "temperature"),
    Case("a limit of nothing", chat_body(max_tokens=0), "max_tokens"),
    Case("a limit that is a fraction", chat_body(max_tokens=1.5), "max_tokens"),
    Case("a stop that is a number", chat_body(stop=3), "stop"),
    Case("a stop with a NUL", chat_body(stop=["a\0"]), "stop[0]"),
    Case("an unknown effort", chat_body(reasoning_effort="huge"), "reasoning_effort"),
    Case("an unknown format", chat_body(response_format={"type": "xml"}), "response_format.type"),
    Case("a parent without a conversation", chat_body(parent_message_id="m"), "conversation_id"),
    Case("a NUL in a text", with_message(content="a\0b"), "messages[0].content"),
    Case("a NUL in a part", with_message(content=[{"type": "text", "text": "a\0b"}]), "messages[0].content[0].text"),
    Case("a NUL in the model", chat_body(model="a\0"), "model"),
    Case("invalid UTF-8 in a text", b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', None),
    Case("invalid UTF-8 in a field's name", b'{"\xff": 1, "messages": []}', None),
    Case("UTF-16", json.dumps(chat_body()).encode("utf-16"), None),
    Case(
        "a lone surrogate in a text",
        b'{"messages": [{"role": "user", "content": "a \\ud800 b"}]}',
        "messages[0].content",
    ),
    Case(
        "surrogates in the wrong order",
        b'{"messages": [{"role": "user", "content": "\\udc00\\ud800"}]}',
        "messages[0].content",
    ),
    Case("deep nesting of lists", b'{"messages": ' + b"[" * DEEP + b"]" * DEEP + b"}", None),
    Case("deep nesting of objects", b'{"a":' * DEEP + b"1" + b"}" * DEEP, None),
    Case("deep nesting in a field nobody reads", b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b', "messages": []}', None),
    Case("deep nesting without an end", b"[" * DEEP, None),
    Case("a number of many digits", b'{"messages": [], "max_tokens": ' + b"9" * 5_000 + b"}", "max_tokens"),
    Case("NaN", b'{"messages": [], "temperature": NaN}', None),
]


@pytest.fixture(autouse=True)
def nothing_breaks(session_log: LogReader) -> Iterator[None]:
    before = len(session_log.lines)
    yield
    assert not [line for line in session_log.lines[before:] if "Traceback" in line]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_body_is_told_by_its_field(case: Case, stream: bool, gateway_server: Gateway) -> None:
    given = {"stream": True, **case.body} if stream and isinstance(case.body, dict) else case.body
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = gateway_server.web.post("/v1/chat/completions", content=body)
    assert answer.status_code == case.status
    error = error_of(answer)
    assert (error["type"], error["param"]) == ("invalid_request_error", case.param)


def test_what_is_odd_but_right_is_answered(gateway_server: Gateway) -> None:
    odd = [
        chat_body("Say \U0001f30d and \\u0000"),
        chat_body([{"type": "text", "text": "Say hello"}]),
        chat_body({"type": "text", "text": "Say hello"}),
        chat_body("Say hello", unknown_field={"a": [1]}),
        chat_body("Say hello", n=1, stop=[], temperature=None),
        {"messages": [MESSAGE]},
        {"messages": [MESSAGE] * 500},
    ]
    for body in odd:
        assert gateway_server.web.post("/v1/chat/completions", json=body).status_code == 200


# Size and form of the body.


def test_a_body_over_the_limit_is_413(gateway_server: Gateway) -> None:
    body = json.dumps(chat_body("x" * 10_500_000)).encode()
    answer = gateway_server.web.post("/v1/chat/completions", content=body)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "request_too_large"


def test_a_body_over_the_limit_is_413_in_chunks_too(gateway_server: Gateway) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(170):
            yield b" " * 65_536

    answer = gateway_server.web.post("/v1/chat/completions", content=chunks())
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "request_too_large"


def test_a_body_of_nearly_the_limit_is_answered(gateway_server: Gateway) -> None:
    body = json.dumps(chat_body("many words " * 100_000)).encode()
    body += b" " * (10_485_760 - len(body))
    answer = gateway_server.web.post("/v1/chat/completions", content=body)
    assert answer.status_code == 200


def test_a_compressed_body_is_refused_with_words(gateway_server: Gateway) -> None:
    body = gzip.compress(json.dumps(chat_body()).encode())
    answer = gateway_server.web.post("/v1/chat/completions", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "'gzip'" in error_of(answer)["message"]


# Header tricks, byte for byte.


class Trick(Struct, frozen=True):
    """`status` 0 stands for a refusal by the HTTP server itself: 400, in its own words."""

    name: str
    headers: bytes
    status: int


def authorization(value: bytes) -> bytes:
    return b"Authorization: " + value + b"\r\n"


GOOD = authorization(b"Bearer " + KEY.encode())
TRICKS = [
    Trick("the key", GOOD, 200),
    Trick("the key with blanks around", authorization(b"  Bearer   " + KEY.encode() + b"  "), 200),
    Trick("no key", b"", 401),
    Trick("an empty key", authorization(b""), 401),
    Trick("only the word Bearer", authorization(b"Bearer"), 401),
    Trick("the key twice", GOOD + GOOD, 401),
    Trick("two keys that differ", GOOD + authorization(b"Bearer other"), 401),
    Trick("the key twice in one header", authorization(b"Bearer " + KEY.encode() + b", Bearer " + KEY.encode()), 401),
    Trick("control bytes after the key", authorization(b"Bearer " + KEY.encode() + b"\x01\x7f"), 0),
    Trick("a tab in the key", authorization(b"Bearer sk\tkey"), 401),
    Trick("bytes beyond ASCII", authorization("Bearer ключ-ä".encode()), 401),
    Trick("bytes that are no text", authorization(b"Bearer \xff\xfe\x80"), 401),
    Trick("a very long key", authorization(b"Bearer " + b"k" * 60_000), 401),
    Trick("a format string", authorization(b"Bearer %s%n{0}$" + b"(id)"), 401),
    Trick("Basic", authorization(b"Basic c2stdGVzdA=="), 401),
    Trick("a fake access token", authorization(b"Bearer eyJhbGciOiJub25lIn0.e30."), 401),
    Trick("a key and a third word", authorization(b"Bearer " + KEY.encode() + b" a b"), 401),
    Trick("a workspace with a slash", GOOD + b"ChatGPT-Account-ID: ../../etc\r\n", 401),
    Trick("a workspace that is not the pool's", GOOD + b"ChatGPT-Account-ID: other\r\n", 403),
    Trick("a NUL in the key", authorization(b"Bearer " + KEY.encode() + b"\0"), 0),
    Trick("a line break in the key", authorization(b"Bearer " + KEY.encode() + b"\rX: y"), 0),
]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_a_trick_in_a_header_opens_nothing(trick: Trick, gateway_server: Gateway) -> None:
    status, body = raw_request(gateway_server.url, trick.headers, json.dumps(chat_body()).encode())
    if trick.status == 0:
        assert status in (400, 401)
        return
    assert status == trick.status
    if status != 200:
        error = json.loads(body)["error"]
        assert error["type"] in ("authentication_error", "permission_error")
        assert KEY not in error["message"]


def test_a_declared_length_that_is_a_lie_breaks_nothing(gateway_server: Gateway) -> None:
    for length in (b"-1", b"99999999999999999999", b"1e3", b"0x10"):
        status, _ = raw_request(gateway_server.url, GOOD, b"{}", length)
        assert status in (400, 413)
    assert gateway_server.chat().status_code == 200


def raw_request(url: str, headers: bytes, body: bytes, length: bytes | None = None) -> tuple[int, str]:
    """Send bytes that no client library would send; return the status and the body."""
    host, _, port = url.removeprefix("http://").partition(":")
    declared = str(len(body)).encode() if length is None else length
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(head + headers + b"Content-Length: " + declared + b"\r\n\r\n" + body)
        heard = b""
        while data := client.recv(65_536):
            heard += data
    answer_head, _, answer_body = heard.partition(b"\r\n\r\n")
    return int(answer_head.split()[1]), answer_body.decode()
