"""Conversations of the simulated service: going on, stored trees, hand-off, conduit tokens."""

from typing import Any

import pytest

from core.loopback.store import Conversations
from tests.core.loopback.client import Heard, Service, hear, reassemble

pytestmark = pytest.mark.anyio

TEXT = "abcdefghijklmnopqrstuvwxyz"


async def resume(service: Service, first: Heard, offset: int, **headers: str) -> Heard:
    body = {"conversation_id": first.conversation_id, "offset": offset}
    async with service.web.stream("POST", "/backend-api/f/conversation/resume", json=body, headers=headers) as response:
        return await hear(response, follow=offset == 0)


async def test_a_conversation_goes_on_by_its_ids(service: Service) -> None:
    first = await service.turn("hello")
    second = await service.turn("again", conversation_id=first.conversation_id, parent_message_id=first.answer["id"])
    assert second.conversation_id == first.conversation_id
    assert "title_generation" not in second.kinds


async def test_an_unknown_conversation_is_not_found(service: Service) -> None:
    heard = await service.turn("hello", conversation_id="6974e0a3-b684-8321-a73a-bf4e7b6dfafe")
    assert (heard.status, b"conversation_not_found" in heard.raw) == (404, True)


async def test_an_unknown_parent_is_not_found(service: Service) -> None:
    first = await service.turn("hello")
    heard = await service.turn("again", conversation_id=first.conversation_id, parent_message_id="nobody")
    assert heard.status == 404


async def test_another_account_does_not_find_the_conversation(service: Service) -> None:
    first = await service.turn("hello")
    service.web.headers["Authorization"] = "Bearer loopback-b"
    assert (await service.turn("again", conversation_id=first.conversation_id)).status == 404


async def test_continue_says_the_next_attempt_after_max_tokens(service: Service) -> None:
    pieces = {"attempts": [{"text": "one ", "finish": "max_tokens"}, {"text": "two"}]}
    first = await service.turn(pieces)
    second = await service.turn(
        "",
        action="continue",
        messages=[],
        conversation_id=first.conversation_id,
        parent_message_id=first.answer["id"],
    )
    assert first.spoken() + second.spoken() == "one two"
    assert second.answer["metadata"]["message_type"] == "continue"


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"action": "stop"},
        {"messages": "hello"},
        {"thinking_effort": "enormous"},
    ],
    ids=["a turn that says nothing", "an unknown action", "messages of another type", "an unknown effort"],
)
async def test_an_invalid_body_is_unprocessable(service: Service, changes: dict[str, Any]) -> None:
    heard = await service.turn("hello", **changes)
    assert (heard.status, heard.raw) == (422, b'{"detail":"Invalid conversation body"}')


async def test_a_kept_conversation_is_listed_read_renamed_and_hidden(service: Service) -> None:
    heard = await service.turn("Say hi", history_and_training_disabled=False)
    path = f"/backend-api/conversation/{heard.conversation_id}"
    tree = (await service.web.get(path)).json()
    assert tree["mapping"][tree["current_node"]]["message"]["content"]["parts"] == ["Hi"]
    assert tree["mapping"][tree["current_node"]]["parent"] == heard.messages[1]["id"]
    assert (await service.web.patch(path, json={"title": "Renamed"})).json() == {"success": True}
    listed = (await service.web.get("/backend-api/conversations?offset=0&limit=28")).json()
    assert [(item["id"], item["title"]) for item in listed["items"]] == [(heard.conversation_id, "Renamed")]
    await service.web.patch(path, json={"is_visible": False})
    assert (await service.web.get("/backend-api/conversations")).json()["total"] == 0


async def test_a_temporary_conversation_cannot_be_read(service: Service) -> None:
    heard = await service.turn("hello")
    path = f"/backend-api/conversation/{heard.conversation_id}"
    assert (await service.web.get(path)).status_code == 404
    assert (await service.web.get(f"{path}/stream_status")).status_code == 404
    assert (await service.web.get("/backend-api/conversations")).json()["items"] == []


async def test_a_cut_turn_leaves_no_answer_behind(service: Service) -> None:
    kept = await service.turn({"text": TEXT, "cut_after_chars": 5}, history_and_training_disabled=False)
    tree = (await service.web.get(f"/backend-api/conversation/{kept.conversation_id}")).json()
    assert tree["current_node"] == kept.messages[1]["id"]
    assert (await resume(service, kept, 0)).status == 404


@pytest.mark.parametrize("stop", [{}, {"cut_after_chars": 8}], ids=["a hand-off", "a cut that can be resumed"])
async def test_the_rest_is_told_from_the_offset_on(service: Service, stop: dict[str, object]) -> None:
    first = await service.turn({"text": TEXT, "handoff": "resume"} | stop)
    assert first.spoken() == TEXT[:8]
    assert ("stream_handoff" in first.kinds) == (not stop)
    rest = await resume(service, first, first.blocks)
    assert b'"p":"/message/content/parts/0","o":"append","v":"ijkl"' in rest.raw
    assert rest.raw.endswith(b"data: [DONE]\n\n")
    together = Heard(200, raw=first.raw.replace(b"data: [DONE]\n\n", b"") + rest.raw)
    reassemble(together)
    assert together.spoken() == TEXT


async def test_offset_0_tells_the_whole_turn_without_the_hand_off(service: Service) -> None:
    first = await service.turn({"text": TEXT, "handoff": "resume"})
    whole = await resume(service, first, 0)
    assert whole.spoken() == TEXT
    assert "stream_handoff" not in whole.kinds
    assert whole.kinds.count("message_stream_complete") == 1


async def test_resume_wants_the_turns_own_conduit_token(service: Service) -> None:
    first = await service.turn({"text": TEXT, "handoff": "resume"})
    token = first.event("resume_conversation_token")["token"]
    assert (await resume(service, first, 0, **{"X-Conduit-Token": "another"})).status == 404
    assert (await resume(service, first, 0, **{"X-Conduit-Token": token})).status == 200
    assert (await resume(service, first, 0, **{"X-Conduit-Token": "no-token"})).status == 200


@pytest.mark.parametrize("encoding", ["delta", "snapshot"])
async def test_a_handed_off_turn_is_finished_after_a_few_polls(service: Service, encoding: str) -> None:
    first = await service.turn(
        {"text": TEXT, "handoff": "poll", "encoding": encoding}, history_and_training_disabled=False
    )
    conversation_id = first.event("stream_handoff")["conversation_id"]
    path = f"/backend-api/conversation/{conversation_id}"
    seen = []
    for _ in range(3):
        tree = (await service.web.get(path)).json()
        message = tree["mapping"][tree["current_node"]]["message"]
        seen.append((message["content"]["parts"][0], message["status"]))
    finished = (TEXT, "finished_successfully")
    assert seen == [(TEXT[:8], "in_progress"), finished, finished]
    assert (await service.web.get(f"{path}/stream_status")).json() == {"status": "IDLE"}


async def test_a_temporary_hand_off_can_be_read_until_it_is_over(service: Service) -> None:
    first = await service.turn({"text": TEXT, "handoff": "poll"})
    path = f"/backend-api/conversation/{first.conversation_id}"
    assert (await service.web.get(f"{path}/stream_status")).json() == {"status": "IS_STREAMING"}
    assert [(await service.web.get(path)).status_code for _ in range(2)] == [200, 404]
    assert (await resume(service, first, 0)).status == 404


async def test_a_handed_off_turn_to_be_polled_cannot_be_resumed(service: Service) -> None:
    first = await service.turn({"text": TEXT, "handoff": "poll"})
    assert (await resume(service, first, 0)).status == 404


async def test_the_conduit_token_of_prepare_is_taken_by_the_turn(service: Service) -> None:
    prepared = await service.web.post("/backend-api/f/conversation/prepare", json={"action": "next"})
    token = prepared.json()["conduit_token"]
    assert token.count(".") == 2
    headers = await service.requirements()
    heard = await service.turn("hello", headers | {"X-Conduit-Token": token})
    assert heard.event("resume_conversation_token")["token"] == token
    assert (await service.turn("hello", headers | {"X-Conduit-Token": "made up"})).status == 403


async def test_the_conversations_held_are_bounded() -> None:
    held = Conversations(limit=2)
    opened = [held.open("a", temporary=False, now=0) for _ in range(3)]
    assert held.listed("a") == [opened[2], opened[1]]
