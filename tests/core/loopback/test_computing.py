"""Turns of the simulated service that run code or begin a research."""

import json
from typing import Any

import pytest

from core.media import image_size
from tests.core.loopback.client import Heard, Service

pytestmark = pytest.mark.anyio

KEPT: dict[str, Any] = {"history_and_training_disabled": False}
RESEARCH: dict[str, Any] = {"system_hints": ["connector:connector_openai_deep_research"], **KEPT}


def script(**switches: object) -> dict[str, object]:
    return {"text": "Done.", "tool_message": "python", "python": switches}


async def located(service: Service, heard: Heard, path: str) -> dict[str, Any]:
    query = f"message_id={heard.answer['id']}&sandbox_path={path}"
    answer = await service.web.get(f"/backend-api/conversation/{heard.conversation_id}/interpreter/download?{query}")
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("encoding", ["delta", "snapshot"])
async def test_code_grows_and_its_output_comes_whole(service: Service, encoding: str) -> None:
    heard = await service.turn({**script(code="print(1)", output="1"), "encoding": encoding, "chunk_chars": 3})
    code, output = heard.messages[-3:-1]
    assert (code["recipient"], code["content"]["text"], code["status"]) == (
        "python",
        "print(1)",
        "finished_successfully",
    )
    assert (output["author"]["name"], output["content"]["text"]) == ("python", "1")
    assert output["metadata"]["aggregate_result"]["code"] == "print(1)"
    assert heard.raw.count(b'"pri"') == 1


async def test_a_file_is_linked_to_and_can_be_had(service: Service) -> None:
    heard = await service.turn(script(file="a.csv"), **KEPT)
    assert heard.spoken() == "Done. [a.csv](sandbox:/mnt/data/a.csv)"
    url = (await located(service, heard, "/mnt/data/a.csv"))["download_url"]
    assert (await service.web.get(url)).content == b"made by: 6 * 7\n"
    assert "download_url" not in await located(service, heard, "/mnt/data/b.csv")


async def test_a_text_with_its_own_link_is_left_alone(service: Service) -> None:
    heard = await service.turn({**script(file="a.csv"), "text": "At sandbox:/mnt/data/a.csv."})
    assert heard.spoken() == "At sandbox:/mnt/data/a.csv."


async def test_nothing_of_a_temporary_conversation_can_be_had(service: Service) -> None:
    heard = await service.turn(script(file="a.csv"))
    assert "download_url" not in await located(service, heard, "/mnt/data/a.csv")


async def test_a_chart_is_a_picture(service: Service) -> None:
    heard = await service.turn(script(chart=True), **KEPT)
    stream, image = heard.messages[-2]["metadata"]["aggregate_result"]["messages"]
    assert (stream["text"], image["message_type"]) == ("42", "image")
    identity = image["image_url"].removeprefix("file-service://")
    query = f"conversation_id={heard.conversation_id}"
    url = (await service.web.get(f"/backend-api/files/download/{identity}?{query}")).json()["download_url"]
    assert image_size((await service.web.get(url)).content) == (32, 32)


# Research.


async def looks(service: Service, heard: Heard, count: int) -> list[dict[str, Any]]:
    """Return the newest message of the conversation at each of so many looks."""
    found = []
    for _ in range(count):
        tree = (await service.web.get(f"/backend-api/conversation/{heard.conversation_id}")).json()
        found.append(tree["mapping"][tree["current_node"]]["message"])
    return found


async def test_a_hint_begins_a_research_whose_report_comes_later(service: Service) -> None:
    heard = await service.turn({"text": "# Report"}, **RESEARCH)
    assert [message["recipient"] for message in heard.messages[-2:]] == ["api_tool.call_tool", "all"]
    assert heard.is_done
    assert heard.spoken() == ""
    states = [json.loads(held["metadata"]["chatgpt_sdk"]["widget_state"]) for held in await looks(service, heard, 3)]
    assert [state["status"] for state in states] == ["running", "completed", "completed"]
    assert states[-1]["report_message"]["content"]["parts"] == ["# Report"]


async def test_a_research_may_tell_its_state_as_text_or_fail(service: Service) -> None:
    heard = await service.turn({"research": {"holder": "text", "polls": 1, "fail": "failed"}}, **KEPT)
    (held,) = await looks(service, heard, 1)
    assert held["content"]["parts"] == ['The latest state of the widget is: {"status": "failed"}']


async def test_a_research_may_ask_back_first(service: Service) -> None:
    heard = await service.turn({"text": "Which one?", "research": {"begun": False}}, **RESEARCH)
    assert heard.spoken() == "Which one?"
