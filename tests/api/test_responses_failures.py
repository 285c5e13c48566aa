"""The failures of test_two_phase.py in the Responses dialect: the true status before the first byte, and after it one
terminal event, then the end. Heartbeats and the deadline, too.
"""

import pytest

from tests.api.responses_calls import events_of, post, streamed, text_of, whole
from tests.api.servers import Gateway, Upstream, comments, directive, error_of, running_gateway
from tests.api.test_two_phase import EARLY, LATE, MODES, PATIENCE, WORDS, Early, Late


@MODES
@pytest.mark.parametrize("case", EARLY, ids=lambda case: case.name)
def test_an_early_failure_keeps_its_true_status(case: Early, stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ(**case.environ)
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], **case.rule)
    with running_gateway(environ) as gateway:
        answer = post(gateway, stream=stream)
    assert answer.status_code == case.status
    error = error_of(answer)
    assert (error["type"], error["param"], error["code"]) == (case.kind, None, case.code)
    assert case.says in error["message"]
    assert answer.headers.get("retry-after") == case.retry_after


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name)
def test_a_late_failure_ends_the_stream_in_one_failed_response(case: Late, upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ(**PATIENCE)) as gateway:
        # Temporary: the rest of a kept turn would first be looked for where it is kept.
        events = streamed(gateway, directive(text=WORDS, delay_ms=20, **case.script), store=False)
    assert events[-1]["type"] == "response.failed"
    response = events[-1]["response"]
    assert response["error"]["code"] == "server_error"
    assert case.says in response["error"]["message"]
    (item,) = response["output"]
    assert item["status"] == "incomplete"
    # What shares a network read with the error may go down with it: one delta of four letters here.
    assert text_of(response) in (WORDS[:8], WORDS[:12])
    assert "".join(event["delta"] for event in events if "delta" in event) == text_of(response)


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name)
def test_a_late_failure_of_a_whole_answer_has_a_status(case: Late, upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ(**PATIENCE)) as gateway:
        answer = post(gateway, directive(text=WORDS, **case.script), store=False)
    assert answer.status_code == case.status
    assert case.says in error_of(answer)["message"]


def test_a_kept_turn_that_fails_can_be_named(upstream_server: Upstream) -> None:
    script = directive(text=WORDS, delay_ms=20, error_after_chars=12)
    with running_gateway(upstream_server.environ()) as gateway:
        response = streamed(gateway, script)[-1]["response"]
        removed = gateway.web.delete(f"/v1/responses/{response['id']}")
    assert (response["status"], response["store"]) == ("failed", True)
    assert removed.json()["deleted"] is True


def test_moderation_is_an_incomplete_response(gateway_server: Gateway) -> None:
    script = directive(text=WORDS, moderation_after_chars=12)
    response = streamed(gateway_server, script)[-1]["response"]
    answered = whole(gateway_server, script)
    for told in (response, answered):
        assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_a_limit_is_an_incomplete_response(gateway_server: Gateway) -> None:
    script = directive(text=WORDS * 20)
    response = streamed(gateway_server, script, max_output_tokens=8)[-1]["response"]
    answered = whole(gateway_server, script, max_output_tokens=8)
    for told in (response, answered):
        assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert told["max_output_tokens"] == 8
        assert WORDS.startswith(text_of(told)[:20])
    assert text_of(response) == text_of(answered)


def test_the_deadline_ends_a_stream_as_incomplete() -> None:
    with running_gateway(TURN_TIMEOUT_SECONDS="0.4") as gateway:
        events = streamed(gateway, directive(text=WORDS, delay_ms=20, stall_after_chars=12))
    assert events[-1]["type"] == "response.incomplete"
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert text_of(response) == WORDS[:12]
    assert response["output"][0]["status"] == "incomplete"


@MODES
def test_a_deadline_before_the_first_word_is_504(stream: bool, upstream_server: Upstream) -> None:
    environ = upstream_server.environ(TURN_TIMEOUT_SECONDS="0.3")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", stall=True)
    with running_gateway(environ) as gateway:
        answer = post(gateway, stream=stream)
    assert answer.status_code == 504
    assert "ran out" in error_of(answer)["message"]


def test_a_silent_upstream_is_bridged_by_events() -> None:
    with running_gateway(HEARTBEAT_SECONDS="0.05") as gateway:
        events = streamed(gateway, directive(text="Two long words", chunk_chars=8, delay_ms=300))
    kinds = [event["type"] for event in events]
    heard, later = (place for place, kind in enumerate(kinds) if kind == "response.output_text.delta")
    assert kinds[heard + 1 : later].count("response.in_progress") > 2
    assert text_of(events[-1]["response"]) == "Two long words"


def test_a_temporary_turn_is_announced_before_the_upstream_has_answered(upstream_server: Upstream) -> None:
    environ = upstream_server.environ(HEARTBEAT_SECONDS="0.05", FIRST_BYTE_TIMEOUT_SECONDS="0.4")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", stall=True)
    with running_gateway(environ) as gateway:
        events = streamed(gateway, store=False)
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[0] == "created"
    assert set(kinds[1:-1]) == {"in_progress"}
    assert len(kinds) > 4
    assert kinds[-1] == "failed"
    assert "did not answer in time" in events[-1]["response"]["error"]["message"]
    assert events[-1]["response"]["output"] == []


def test_a_kept_turn_beats_in_comments_while_its_id_is_unknown(upstream_server: Upstream) -> None:
    environ = upstream_server.environ(HEARTBEAT_SECONDS="0.05", FIRST_BYTE_TIMEOUT_SECONDS="0.4")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", stall=True)
    with running_gateway(environ) as gateway:
        answer = post(gateway, stream=True)
    assert answer.status_code == 200
    assert comments(answer.text) > 2
    kinds = [event["type"].removeprefix("response.") for event in events_of(answer)]
    assert kinds == ["created", "in_progress", "failed"]


CALL = {"name": "look", "arguments": {"a": "b"}}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}


def test_a_failure_inside_a_call_leaves_it_incomplete(upstream_server: Upstream) -> None:
    text = '<{{tag}} name="look">{"a": "' + "long " * 20
    script = directive(text=text, delay_ms=5, error_after_chars=100)
    with running_gateway(upstream_server.environ(**PATIENCE)) as gateway:
        events = streamed(gateway, script, tools=[TOOL], store=False)
    assert events[-1]["type"] == "response.failed"
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["status"]) == ("function_call", "incomplete")
    assert item["arguments"].startswith('{"a": "long')


def test_a_must_call_that_is_not_made_fails_with_its_own_code(upstream_server: Upstream) -> None:
    script = directive(text="I will not.")
    with running_gateway(upstream_server.environ()) as gateway:
        answer = post(gateway, script, tools=[TOOL], tool_choice="required", stream=True)
    assert answer.status_code == 502
    assert error_of(answer)["code"] == "tool_choice_not_satisfied"


SCRIPTS = [
    pytest.param({"text": WORDS}, [], id="a text"),
    pytest.param({"text": WORDS, "reasoning": "Counting letters."}, [], id="reasoning"),
    pytest.param({"text": WORDS, "tool_message": "search"}, [], id="sources"),
    pytest.param({"text": "I look.", "calls": [CALL, CALL]}, [TOOL], id="a sentence and two calls"),
    pytest.param(
        {"calls": [{"name": "patch", "input": "+ a\n- b"}]}, [TOOL, {"type": "custom", "name": "patch"}], id="custom"
    ),
    pytest.param(
        {"calls": [{"name": "n.look", "arguments": {"a": "b"}}]},
        [{"type": "namespace", "name": "n", "description": "Tools.", "tools": [TOOL]}],
        id="a namespace",
    ),
    pytest.param({"text": ""}, [], id="nothing at all"),
    pytest.param({"text": WORDS, "encoding": "snapshot"}, [], id="an upstream of the old form"),
    pytest.param({"text": WORDS, "handoff": "resume"}, [], id="an answer that is handed over"),
    pytest.param({"text": WORDS * 3, "finish": "max_tokens"}, [], id="an answer that is continued"),
]


@pytest.mark.parametrize(("script", "tools"), SCRIPTS)
def test_an_answer_is_the_same_whole_and_streamed(
    script: dict[str, object], tools: list[object], gateway_server: Gateway
) -> None:
    told = streamed(gateway_server, directive(**script), tools=tools)[-1]["response"]
    answered = whole(gateway_server, directive(**script), tools=tools)
    assert bare(told) == bare(answered)


def bare(response: dict[str, object]) -> dict[str, object]:
    """Return a response without what each answer has of its own: ids and the time."""
    volatile = ("id", "call_id", "created_at")
    output = response["output"]
    assert isinstance(output, list)
    items = [{name: value for name, value in item.items() if name not in volatile} for item in output]
    return {**{name: value for name, value in response.items() if name not in volatile}, "output": items}
