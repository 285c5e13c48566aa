"""How tests ask `POST /v1/responses`, and how they read what comes back: every answer is checked on the way."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.api.servers import Gateway, Json
from tests.core.wire.openai_responses.schemas import check_events, check_response


def post(
    gateway: Gateway, given: object = "Say hello", headers: Mapping[str, str] | None = None, **fields: Any
) -> httpx.Response:
    """Post a request; a stream is read to its end."""
    body = {"model": "auto", "input": given, **fields}
    return gateway.web.post("/v1/responses", json=body, headers=headers)


def whole(gateway: Gateway, given: object = "Say hello", **fields: Any) -> Json:
    """Return the response object of an answer given whole."""
    answer = post(gateway, given, **fields)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    check_response(body)
    return body


def streamed(gateway: Gateway, given: object = "Say hello", **fields: Any) -> list[Json]:
    """Return the events of a streamed answer."""
    answer = post(gateway, given, stream=True, **fields)
    assert answer.status_code == 200, answer.text
    return events_of(answer)


def events_of(answer: httpx.Response) -> list[Json]:
    """Return the events of a stream that begins, goes on and ends as the API's do, without [DONE]."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "[DONE]" not in answer.text
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    events = []
    for block in blocks:
        name, line = block.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    check_events(events)
    return events


def text_of(response: Json) -> str:
    """Return the text of a response's messages."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for message in messages for part in message["content"])
