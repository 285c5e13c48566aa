"""The official OpenAI SDK asks for code, research and search, and reads what came of it; links lead to files."""

import re

import httpx
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.api.servers import directive

CODE = {"function_code_interpreter": True}
CODE_TOOL = {"type": "code_interpreter", "container": {"type": "auto"}}
MADE = b"made by: 6 * 7\n"
COMPUTES = directive(text="Here: ", tool_message="python", python={"file": "a.csv", "chart": True})
LINK = re.compile(r"\[a\.csv\]\((?P<url>[^)]*)\)")


def linked(text: str) -> bytes:
    """Return what the link in a text leads to, for whoever has it."""
    found = LINK.search(text)
    assert found, text
    answer = httpx.get(found["url"], trust_env=False)
    assert answer.headers["content-disposition"].startswith('attachment; filename="a.csv"')
    return answer.content


def test_code_in_chat(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": COMPUTES}], extra_body=CODE
    )
    message = raw.parse().choices[0].message
    extra = message.model_extra or {}
    assert "6 * 7" in extra["reasoning_content"]
    assert extra["images"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert linked(message.content or "") == MADE
    assert "x-isthmus-ignored-params" not in raw.headers


def test_code_in_a_chat_stream(client: OpenAI) -> None:
    chunks = client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": COMPUTES}], stream=True, extra_body=CODE
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert linked("".join(delta.content or "" for delta in deltas)) == MADE
    thought = "".join((delta.model_extra or {}).get("reasoning_content") or "" for delta in deltas)
    assert thought == "````python\n6 * 7\n````\n\n````text\n42\n````"


def whole(client: OpenAI) -> Response:
    return client.responses.create(model="auto", input=COMPUTES, tools=[CODE_TOOL])  # type: ignore[list-item]


def streamed(client: OpenAI) -> Response:
    with client.responses.stream(model="auto", input=COMPUTES, tools=[CODE_TOOL]) as events:  # type: ignore[list-item]
        return events.get_final_response()


@pytest.mark.parametrize("ask", [whole, streamed])
def test_code_in_responses(client: OpenAI, ask: object) -> None:
    answer = whole(client) if ask is whole else streamed(client)
    assert [item.type for item in answer.output] == ["reasoning", "reasoning", "message", "image_generation_call"]
    assert linked(answer.output_text) == MADE


def test_a_link_can_be_tampered_with_in_vain(client: OpenAI) -> None:
    found = LINK.search(whole(client).output_text)
    assert found
    assert httpx.get(found["url"].replace("link_", "link_A"), trust_env=False).status_code in (401, 404)


# Research.


def test_research_in_responses(client: OpenAI) -> None:
    """Slow by design: the first look at a research comes after two seconds."""
    script = directive(text="# Report", research={"polls": 1})
    with client.responses.stream(model="o3-deep-research", input=script) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_response()
    assert kinds[0] == "response.created"
    assert answer.output_text == "# Report"
    assert client.responses.retrieve(answer.id).output_text == "# Report"


# Search.


def test_options_of_a_search_are_named(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto",
        messages=[{"role": "user", "content": directive(text="Land.", tool_message="search")}],
        web_search_options={"search_context_size": "low"},
    )
    notes = raw.parse().choices[0].message.annotations or []
    assert [note.url_citation.url for note in notes] == ["https://example.com/isthmus", "https://example.org/straits"]
    assert raw.headers["x-isthmus-ignored-params"] == "web_search_options.search_context_size"
