"""The published shapes of what a Responses client reads, from two sources, applied strictly.

The official SDK's types are generated from OpenAI's OpenAPI description. Strictly means: no number as text, no field
that is not there unless `EXTRAS` names it, and null only where `NULLABLE` says that the API itself sends it: the types
alone cannot tell null from absent. The types of openresponses-types (Apache-2.0, mozilla.ai) are generated from the
Open Responses specification, which was made from OpenAI's description and requires more fields; it has neither custom
tools nor pictures.
"""

import typing
from collections.abc import Iterator
from typing import Any

import openresponses_types.types as open_responses
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

Json = dict[str, Any]

EXTRAS = frozenset(
    {"usage.estimated", "store", "name", "output.status", "item.status", "frequency_penalty", "presence_penalty"}
)
"""Fields without a type in the SDK. `estimated` is ours: the gateway counted. The Open Responses specification requires
the penalties. The API itself sends `store` (captures/vendors/openai-responses-text.sse), a custom call's `status`
(Codex CLI 0.169.0 reads and repeats it) and the `name` in function_call_arguments.done, which OpenAI's description
requires (clients reference, section 1.4)."""

OUR_CODES = frozenset(
    {
        "internal_error",
        "malformed_tool_call",
        "schema_not_satisfied",
        "tool_choice_not_satisfied",
        "upstream_challenge_required",
    }
)
"""Codes of failed responses besides the API's own list: what only a gateway can fail in."""

NULLABLE = frozenset(
    {
        "completed_at",
        "error",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning.effort",
        "reasoning.summary",
        "safety_identifier",
        "tools.description",
        "tools.parameters",
        "usage",
        "user",
    }
)
"""Fields of a response that are null in the API's own answers, or nullable in its description."""

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
_RESPONSE = TypeAdapter(Response)


def _event_types() -> dict[str, TypeAdapter[Any]]:
    union = typing.get_args(ResponseStreamEvent)[0]
    return {model.model_fields["type"].annotation.__args__[0]: TypeAdapter(model) for model in typing.get_args(union)}


_EVENTS = _event_types()


def _specified_types() -> dict[str, TypeAdapter[Any]]:
    models = [model for name, model in vars(open_responses).items() if name.endswith("StreamingEvent")]
    return {next(iter(model.model_fields["type"].annotation)).value: TypeAdapter(model) for model in models}


_SPECIFIED = _specified_types()
_SPECIFIED_RESPONSE = TypeAdapter(open_responses.ResponseResource)


def check_response(body: Json) -> None:
    """Raise when a response object is not of the published shape."""
    _check(_RESPONSE, body, "")
    _check_specified(_SPECIFIED_RESPONSE, body)


def check_event(event: Json) -> None:
    """Raise when an event is not of the published shape."""
    assert event["type"] in _EVENTS, f"there is no event {event['type']!r}"
    _check(_EVENTS[event["type"]], event, "")
    if event["type"] in _SPECIFIED:
        _check_specified(_SPECIFIED[event["type"]], event)


def check_events(events: list[Json]) -> None:
    """Raise unless these are the events of one whole answer: each of its shape, numbered, and with one end."""
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind for kind in kinds if kind in _TERMINAL] == [kinds[-1]]
    _check_items(events)
    identities = {event["response"]["id"] for event in events if "response" in event}
    assert len(identities) == 1, "an answer has one id throughout"


def _check_items(events: list[Json]) -> None:
    """Raise unless items open and close one after the other, and the end holds just them."""
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert [event["output_index"] for event in done] == list(range(len(done)))
    assert [event["item"]["id"] for event in added][: len(done)] == [event["item"]["id"] for event in done]
    output = events[-1]["response"]["output"]
    assert output[: len(done)] == [event["item"] for event in done]
    assert [item["id"] for item in output] == [event["item"]["id"] for event in added]
    known = {(event["item"]["id"], event["output_index"]) for event in added}
    for event in events:
        if "item_id" in event:
            assert (event["item_id"], event["output_index"]) in known


def _check(adapter: "TypeAdapter[Any]", value: Json, path: str) -> None:
    # From JSON, not from objects: there are no tuples, and a whole number may stand for a float.
    model = adapter.validate_json(_dumped(_with_known_code(value)), strict=True)
    unknown = {extra.removeprefix("response.") for extra in _extras(model, path)} - EXTRAS
    assert not unknown, f"fields that the API does not have: {sorted(unknown)}"
    nulls = {null.removeprefix("response.") for null in _nulls(value, path)} - NULLABLE
    assert not nulls, f"null where the API sends none: {sorted(nulls)}"


def _check_specified(adapter: "TypeAdapter[Any]", value: Json) -> None:
    """Check against the specification as far as it goes: it knows function tools alone, and null for a schema."""
    response = value.get("response", value)
    if response.get("object") == "response":
        functions = [tool for tool in response["tools"] if tool["type"] == "function"]
        response = {**response, "tools": functions}
        if response["text"]["format"]["type"] == "json_schema":
            response["text"] = {"format": {"type": "text"}}
        value = {**value, "response": response} if "response" in value else response
    dumped = _dumped(value)
    if not any(kind in dumped for kind in _UNSPECIFIED):
        adapter.validate_json(dumped)


_UNSPECIFIED = (b'"custom', b'"image_generation_call"')
"""How kinds of items begin that the specification does not know."""


def _with_known_code(value: Json) -> Json:
    response = value.get("response", value)
    error = response.get("error")
    if error and error["code"] in OUR_CODES:
        response = {**response, "error": {**error, "code": "server_error"}}
    return {**value, "response": response} if "response" in value else response


def _dumped(value: Json) -> bytes:
    return TypeAdapter(Any).dump_json(value)


def _extras(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}.{name}".lstrip(".")
        for name in value.model_fields_set:
            yield from _extras(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _extras(item, path)


def _nulls(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield path.lstrip(".")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _FOREIGN:
                yield from _nulls(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _nulls(item, path)


_FOREIGN = frozenset({"schema", "metadata"})
"""What the caller wrote and the answer repeats."""
