"""The error object of OpenAI's calls (JR-13), its types (JR-14), and results of calls that failed."""

import json

import pytest
from msgspec import Struct

from core import errors
from core.errors import GatewayError
from core.openai_words import render_error, told_content
from core.request import Image, Text, ToolResult

TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_shape_and_one_of_the_types(kind: type[GatewayError]) -> None:
    told = json.loads(render_error(kind("no", param="model", code="why")))
    assert told["error"].pop("type") in TYPES
    assert told == {"error": {"message": "no", "param": "model", "code": "why"}}


def test_every_type_is_in_use() -> None:
    assert {kind.kind for kind in KINDS} == TYPES


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.InvalidRequest, "invalid_request_error"),
        (errors.Unauthenticated, "authentication_error"),
        (errors.Forbidden, "permission_error"),
        (errors.NotFound, "not_found_error"),
        (errors.RateLimited, "rate_limit_error"),
        (errors.UpstreamUnavailable, "overloaded_error"),
        (errors.UpstreamTimeout, "api_error"),
        (errors.UpstreamRejected, "invalid_request_error"),
    ],
)
def test_the_type_of_an_error(kind: type[GatewayError], expected: str) -> None:
    assert json.loads(render_error(kind("no")))["error"]["type"] == expected


Content = tuple[Text | Image, ...]
PICTURE = Image(url="https://a.example/x.png")


class Failed(Struct, frozen=True):
    id: str
    content: Content
    expected: Content


FAILED = [
    Failed("a text", (Text("no such city"), Text("try again")), (Text("Error: no such city"), Text("try again"))),
    Failed("a text that says so already", (Text("ERROR 404"),), (Text("ERROR 404"),)),
    Failed("a text that says so beside a picture", (PICTURE, Text("error")), (PICTURE, Text("error"))),
    Failed("a picture alone", (PICTURE,), (Text("Error:"), PICTURE)),
    Failed("nothing", (), (Text("Error:"),)),
]


@pytest.mark.parametrize("case", FAILED, ids=lambda case: case.id)
def test_a_failed_result_says_so_in_words(case: Failed) -> None:
    assert told_content(ToolResult("c", case.content, is_error=True)) == case.expected
    assert told_content(ToolResult("c", case.content)) == case.content
