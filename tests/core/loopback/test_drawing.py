"""Turns of the simulated service that draw: real pictures, at once or after a while, or none."""

import zlib
from typing import Any

import pytest

from core.loopback.pictures import png
from core.media import image_size, sniff
from tests.core.loopback.client import Heard, Service

pytestmark = pytest.mark.anyio

HINTED: dict[str, Any] = {"system_hints": ["picture_v2"], "history_and_training_disabled": False}


def pointers(messages: list[dict[str, Any]]) -> list[str]:
    """Return the ids of the pictures that the tool's messages show."""
    shown = [message for message in messages if message and message["author"]["role"] == "tool"]
    parts = [part for message in shown for part in message["content"]["parts"] if isinstance(part, dict)]
    return [part["asset_pointer"].removeprefix("sediment://") for part in parts]


async def stored(service: Service, heard: Heard) -> dict[str, Any]:
    answer = await service.web.get(f"/backend-api/conversation/{heard.conversation_id}")
    found: dict[str, Any] = answer.json()
    return found


async def fetched(service: Service, heard: Heard, file_id: str) -> bytes:
    path = f"/backend-api/conversation/{heard.conversation_id}/attachment/{file_id}/download"
    url = (await service.web.get(path)).json()["download_url"]
    return (await service.web.get(url)).content


@pytest.mark.parametrize("side", [1, 7, 16, 64, 100])
def test_a_picture_is_a_whole_png(side: int) -> None:
    data = png("a cat", side)
    assert (sniff(data), image_size(data)) == ("image/png", (side, side))
    start = data.index(b"IDAT") + 4
    assert len(zlib.decompress(data[start : data.index(b"IEND") - 8])) == side * (3 * side + 1)


def test_the_same_text_gives_the_same_picture() -> None:
    assert png("a cat") == png("a cat") != png("a dog")


async def test_a_hint_makes_a_turn_draw(service: Service) -> None:
    heard = await service.turn("A cat", **HINTED)
    (file_id,) = pointers(heard.messages)
    assert image_size(await fetched(service, heard, file_id)) == (64, 64)
    assert heard.spoken() == ""
    assert heard.event("server_ste_metadata")["metadata"]["turn_use_case"] == "image gen"
    assert heard.is_done


async def test_the_pictures_are_in_the_conversation_too(service: Service) -> None:
    heard = await service.turn({"text": "Here.", "image": {"count": 2, "previews": 1}}, **HINTED)
    assert heard.spoken() == "Here."
    tree = await stored(service, heard)
    messages = [node["message"] for node in tree["mapping"].values()]
    assert pointers(messages) == pointers(heard.messages)
    assert len(set(pointers(messages))) == 4


async def test_a_picture_is_there_at_the_look_that_was_said(service: Service) -> None:
    heard = await service.turn({"image": {"form": "poll", "polls": 3}}, **HINTED)
    assert heard.event("conversation_async_status")["async_status"] == 7
    assert pointers(heard.messages) == []
    looks = [await stored(service, heard) for _ in range(4)]
    found = [len(pointers([node["message"] for node in tree["mapping"].values()])) for tree in looks]
    assert found == [0, 0, 1, 1]
    assert [tree["async_status"] for tree in looks] == [1, 1, None, None]


async def test_a_resume_tells_the_rest(service: Service) -> None:
    heard = await service.turn({"image": {"form": "handoff"}, "text": "Here."}, **HINTED)
    assert "stream_handoff" in heard.kinds
    body = {"conversation_id": heard.conversation_id, "offset": heard.blocks}
    resumed = await service.web.post("/backend-api/f/conversation/resume", json=body)
    assert "image_asset_pointer" in resumed.text
    assert resumed.text.endswith("data: [DONE]\n\n")


async def test_a_refusal_is_a_text(service: Service) -> None:
    heard = await service.turn({"image": {"refuse": "No."}}, **HINTED)
    assert (heard.spoken(), pointers(heard.messages)) == ("No.", [])


async def test_tasks_tell_of_pictures_that_are_made_and_of_those_that_fail(service: Service) -> None:
    made = await service.turn({"image": {"form": "poll"}}, **HINTED)
    failed = await service.turn({"image": {"form": "poll", "polls": 1, "fail": "Too busy."}}, **HINTED)
    tasks = (await service.web.get("/backend-api/tasks")).json()["tasks"]
    assert [(task["conversation_id"], task["status"]) for task in tasks] == [
        (made.conversation_id, "running"),
        (failed.conversation_id, "failed"),
    ]
    assert tasks[1]["image_gen_message"]["content"]["parts"] == ["Too busy."]
    assert (await stored(service, failed))["async_status"] == 1
    assert (await service.client("loopback-b").get("/backend-api/tasks")).json() == {"tasks": []}


async def test_so_many_downloads_are_cut_off(service: Service) -> None:
    heard = await service.turn({"image": {"cut_downloads": 1}}, **HINTED)
    (file_id,) = pointers(heard.messages)
    with pytest.raises(Exception, match="peer closed connection"):
        await fetched(service, heard, file_id)
    assert image_size(await fetched(service, heard, file_id)) == (64, 64)
