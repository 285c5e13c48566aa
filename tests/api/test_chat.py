"""Chat Completions over HTTP: the fields that the gateway itself makes something of."""

import json
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import (
    Gateway,
    Upstream,
    chat_body,
    comments,
    content,
    data_frames,
    directive,
    error_of,
    finish_reasons,
    running_gateway,
)

MODES = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
TEXT = "One two three. Four five six. Seven eight nine."


def told(gateway: Gateway, stream: bool, prompt: str, **fields: Any) -> tuple[str, str]:
    """Return the text and the finish reason of an answer, checked for its form."""
    answer = gateway.chat(prompt, stream=stream, **fields)
    assert answer.status_code == 200
    if not stream:
        choice = answer.json()["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]
    frames = data_frames(answer.text)
    assert (frames[-1], frames.count("[DONE]")) == ("[DONE]", 1)
    [reason] = finish_reasons(frames)
    return content(frames), reason


class Case(Struct, frozen=True):
    name: str
    fields: dict[str, Any]
    text: str
    reason: str = "stop"


CASES = [
    Case("no limit", {}, TEXT),
    Case("a stop sequence is cut off, across delta borders", {"stop": "Four"}, "One two three. "),
    Case("the first of several counts", {"stop": ["eight", "six"]}, "One two three. Four five "),
    Case("a stop at the very beginning leaves nothing", {"stop": "One"}, ""),
    Case("a stop that does not come changes nothing", {"stop": "ten"}, TEXT),
    Case("what only began like a stop is given back", {"stop": "nine.."}, TEXT),
    Case("max_tokens cuts for length", {"max_tokens": 3}, "One two three", "length"),
    Case("max_completion_tokens does too", {"max_completion_tokens": 3}, "One two three", "length"),
    Case("a limit that is not reached changes nothing", {"max_tokens": 100}, TEXT),
    Case("null is no limit", {"max_tokens": None, "stop": None}, TEXT),
]


@MODES
@pytest.mark.parametrize("chunk_chars", [1, 4, 100])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_limits_are_kept_by_the_gateway(case: Case, chunk_chars: int, stream: bool, gateway_server: Gateway) -> None:
    prompt = directive(text=TEXT, chunk_chars=chunk_chars)
    assert told(gateway_server, stream, prompt, **case.fields) == (case.text, case.reason)


def test_the_stream_mode_answers_whole() -> None:
    with running_gateway(STREAM_MODE="false") as gateway:
        answer = gateway.chat("Say hello", stream=True)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["usage"]["estimated"] is True


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}], ids=str)
def test_usage_comes_exactly_when_asked(options: dict[str, bool] | None, gateway_server: Gateway) -> None:
    answer = gateway_server.chat("Say hello", stream=True, stream_options=options)
    chunks = data_frames(answer.text)[:-1]
    if not (options and options.get("include_usage")):
        assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)
        return
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    usage = chunks[-1]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["estimated"] is True


@MODES
def test_knobs_that_nobody_turns_are_named(stream: bool, gateway_server: Gateway) -> None:
    answer = gateway_server.chat("Say hello", stream=stream, temperature=0.5, seed=7, max_tokens=50, user="u")
    ignored = set(answer.headers["x-isthmus-ignored-params"].split(", "))
    assert {"temperature", "seed"} <= ignored
    assert not {"max_tokens", "model", "messages", "stream"} & ignored
    assert answer.headers["x-isthmus-upstream"] == "chatgpt_web"
    assert answer.headers["x-isthmus-upstream-model"] == "gpt-5-6"


def test_nothing_ignored_is_no_header(gateway_server: Gateway) -> None:
    assert "x-isthmus-ignored-params" not in gateway_server.chat("Say hello").headers


@MODES
def test_more_than_one_choice_is_refused(stream: bool, gateway_server: Gateway) -> None:
    answer = gateway_server.chat("Say hello", stream=stream, n=2)
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "n"


@MODES
def test_a_conversation_goes_on_where_it_was(stream: bool, upstream_server: Upstream) -> None:
    words = f"two-{stream}"
    with running_gateway(upstream_server.environ(ENABLE_HISTORY="true")) as gateway:
        first = ids_of(gateway.chat("Say one", stream=stream), stream)
        fields: dict[str, Any] = {"conversation_id": first[0], "parent_message_id": first[1]}
        second = ids_of(gateway.chat(f"Say {words}", stream=stream, **fields), stream)
        gone = gateway.chat("Say three", stream=stream, conversation_id="no-such-conversation")
    assert second[1] != first[1]
    assert error_of(gone)["param"] == "conversation_id"
    [asked] = [body for body in bodies_of(upstream_server) if words in str(body["messages"])]
    assert len(asked["messages"]) == 1, "only what is new is sent"
    assert asked["conversation_id"]
    assert asked["parent_message_id"]
    assert gone.status_code in (400, 404)
    error_of(gone)


def ids_of(answer: Any, stream: bool) -> tuple[str, str]:
    """Return the conversation and the message that an answer names, in a stream in its last chunk with a choice."""
    assert answer.status_code == 200
    body = [frame for frame in data_frames(answer.text) if frame != "[DONE]"][-1] if stream else answer.json()
    return body["conversation_id"], body["message_id"]


def bodies_of(upstream: Upstream) -> list[dict[str, Any]]:
    """Return the bodies of all turns so far; of one whose caller left early there is none."""
    return [turn["body"] for turn in upstream.turns() if turn["body"] is not None]


def test_chats_are_temporary_unless_stored(upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ()) as gateway:
        gateway.chat("Say temporary-1")
        gateway.chat("Say stored-2", store=True)
    found = {str(body["messages"][0]["content"]["parts"][0]): body for body in bodies_of(upstream_server)}
    assert found["Say temporary-1"]["history_and_training_disabled"] is True
    assert not found["Say stored-2"].get("history_and_training_disabled")


@MODES
def test_citations_become_annotations(stream: bool, gateway_server: Gateway) -> None:
    answer = gateway_server.chat(directive(text="The sky is blue. And so on.", tool_message="search"), stream=stream)
    if stream:
        frames = data_frames(answer.text)
        text = content(frames)
        deltas = [frame["choices"][0]["delta"] for frame in frames[:-1] if frame["choices"]]
        [annotations] = [delta["annotations"] for delta in deltas if "annotations" in delta]
    else:
        message = answer.json()["choices"][0]["message"]
        text, annotations = message["content"], message["annotations"]
    assert "The sky is blue" in text
    assert not [letter for letter in text if "\ue000" <= letter <= "\uf8ff"], "a citation marker was shown"
    for annotation in annotations:
        citation = annotation["url_citation"]
        assert annotation["type"] == "url_citation"
        assert citation["url"].startswith("https://")
        assert 0 <= citation["start_index"] <= citation["end_index"] <= len(text)


@MODES
def test_reasoning_comes_in_its_own_field(stream: bool, gateway_server: Gateway) -> None:
    answer = gateway_server.chat(directive(text="Four.", reasoning="Two and two."), stream=stream)
    if stream:
        frames = [frame for frame in data_frames(answer.text)[:-1] if frame["choices"]]
        deltas = [frame["choices"][0]["delta"] for frame in frames]
        reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
        text = content(frames)
    else:
        message = answer.json()["choices"][0]["message"]
        reasoning, text = message["reasoning_content"], message["content"]
    assert (reasoning, text) == ("Two and two.", "Four.")


@MODES
def test_an_answer_that_is_handed_off_is_whole(stream: bool, upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ()) as gateway:
        assert told(gateway, stream, directive(text=TEXT, handoff="resume")) == (TEXT, "stop")


@MODES
def test_an_answer_cut_for_length_is_continued(stream: bool, gateway_server: Gateway) -> None:
    last = "three." if stream else "four."  # attempts are counted by their script
    script = directive(attempts=[{"text": "One two ", "finish": "max_tokens"}, {"text": last}])
    assert told(gateway_server, stream, script) == (f"One two {last}", "stop")


@MODES
def test_moderation_ends_as_a_content_filter(stream: bool, gateway_server: Gateway) -> None:
    text, reason = told(gateway_server, stream, directive(text=TEXT, moderation_after_chars=8))
    assert reason == "content_filter"
    assert TEXT.startswith(text)


def test_a_silent_upstream_is_bridged_by_heartbeats() -> None:
    with running_gateway(HEARTBEAT_SECONDS="0.05") as gateway:
        answer = gateway.chat(
            directive(text="Hello there", chunk_chars=6, first_delay_ms=200, delay_ms=200), stream=True
        )
    assert comments(answer.text) >= 4
    assert content(data_frames(answer.text)) == "Hello there"
    assert all(line.startswith((":", "data: ")) for line in answer.text.split("\n") if line)


def test_an_error_after_a_heartbeat_is_told_in_band(upstream_server: Upstream) -> None:
    environ = upstream_server.environ(HEARTBEAT_SECONDS="0.05", FIRST_BYTE_TIMEOUT_SECONDS="0.3")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", stall=True)
    with running_gateway(environ) as gateway:
        answer = gateway.chat("Say hello", stream=True)
    assert answer.status_code == 200
    assert comments(answer.text) >= 2
    error, done = data_frames(answer.text)
    assert "did not answer in time" in error["error"]["message"]
    assert done == "[DONE]"


@MODES
def test_the_end_of_the_time_ends_an_answer_legally(stream: bool) -> None:
    with running_gateway(TURN_TIMEOUT_SECONDS="0.4") as gateway:
        text, reason = told(gateway, stream, directive(text=TEXT, stall_after_chars=12))
    assert (text, reason) == (TEXT[:12], "length")


@MODES
def test_the_end_of_the_time_before_anything_came_is_504(stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ(TURN_TIMEOUT_SECONDS="0.3")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", stall=True)
    with running_gateway(environ) as gateway:
        answer = gateway.chat("Say hello", stream=stream)
    assert answer.status_code == 504
    error_of(answer)


@MODES
def test_text_of_any_script_arrives_as_it_was(stream: bool, gateway_server: Gateway) -> None:
    text = 'Ünïcödé "quotes" \\ back\n\ttab \u2028 \u202e 👩‍👩‍👧 \x7f data: [DONE]\n\n: comment'
    assert told(gateway_server, stream, directive(text=text, chunk_chars=1)) == (text, "stop")


def test_a_capture_is_told_whole(upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ()) as gateway:
        text, _ = told(gateway, True, directive(capture="delta_v1_free_gpt52_a"))
        assert (text, "stop") == told(gateway, False, directive(capture="delta_v1_free_gpt52_a"))
    assert len(text) > 100


def test_a_body_may_be_sent_without_a_content_type(gateway_server: Gateway) -> None:
    body = json.dumps(chat_body("Say hello")).encode()
    assert gateway_server.web.post("/v1/chat/completions", content=body).status_code == 200
