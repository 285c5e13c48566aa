"""The simulated service's files: what it insists on, so that a client that gets it wrong is found out here."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from msgspec import Struct

from core.loopback.blobs import Blobs
from core.loopback.refusals import Refused
from tests.core.loopback.client import Service, user_message

pytestmark = pytest.mark.anyio

FILES = "/backend-api/files"
PUT = {"x-ms-blob-type": "BlockBlob", "Authorization": ""}
"""What goes with the bytes: a type of blob and no token."""


async def announced(service: Service, size: int = 5, name: str = "a.txt", use: str = "my_files") -> dict[str, Any]:
    body = {"file_name": name, "file_size": size, "use_case": use, "mime_type": "text/plain"}
    answer = await service.web.post(FILES, json=body)
    created: dict[str, Any] = answer.json()
    assert (answer.status_code, created["status"]) == (200, "success")
    return created


async def put(service: Service, url: str, data: bytes = b"hello", headers: Mapping[str, str] = {}) -> httpx.Response:
    request = service.web.build_request("PUT", url, content=data, headers=PUT | dict(headers))
    if not request.headers["authorization"]:
        del request.headers["authorization"]
    return await service.web.send(request)


async def uploaded(service: Service, data: bytes = b"hello", use: str = "my_files") -> str:
    created = await announced(service, len(data), use=use)
    assert (await put(service, created["upload_url"], data)).status_code == 201
    confirmed = await service.web.post(f"{FILES}/{created['file_id']}/uploaded", json={})
    assert confirmed.json()["status"] == "success"
    identity: str = created["file_id"]
    return identity


async def test_an_upload_and_its_ways_back(service: Service) -> None:
    identity = await uploaded(service)
    url = (await service.web.get(f"{FILES}/{identity}/download")).json()["download_url"]
    assert url.startswith("loopback://chatgpt/loopback-storage/")
    async with httpx.AsyncClient(transport=service.web._transport) as stranger:
        assert (await stranger.get(url)).content == b"hello"
        assert (await stranger.get(url + "0")).status_code == 403
    newer = (await service.web.get(f"{FILES}/download/{identity}?inline=false")).json()["download_url"]
    assert (await service.web.get(newer)).content == b"hello"


async def test_a_document_is_indexed_at_the_second_look(service: Service) -> None:
    identity = await uploaded(service)
    looks = [(await service.web.get(f"{FILES}/{identity}")).json()["retrieval_index_status"] for _ in range(2)]
    assert looks == [None, "success"]
    data = await uploaded(service, use="ace_upload")
    assert "retrieval_index_status" not in (await service.web.get(f"{FILES}/{data}")).json()


class Wrong(Struct, frozen=True):
    id: str
    headers: dict[str, str]
    status: int


WRONG = [
    Wrong("a token beside the signature", {"Authorization": "Bearer loopback-a"}, 400),
    Wrong("no type of blob", {"x-ms-blob-type": ""}, 400),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
async def test_the_storage_insists(service: Service, case: Wrong) -> None:
    created = await announced(service)
    assert (await put(service, created["upload_url"], headers=case.headers)).status_code == case.status


async def test_half_of_a_file_is_not_confirmed(service: Service) -> None:
    created = await announced(service, 9)
    await put(service, created["upload_url"])
    confirmed = await service.web.post(f"{FILES}/{created['file_id']}/uploaded", json={})
    assert confirmed.json()["error_code"] == "file_incomplete"


async def test_the_newer_confirmation_tells_how_it_goes_on(service: Service) -> None:
    created = await announced(service)
    await put(service, created["upload_url"])
    body = {"file_id": created["file_id"], "use_case": "my_files"}
    answer = await service.web.post(f"{FILES}/process_upload_stream", json=body)
    assert [line.partition('"event":"')[2].partition('"')[0] for line in answer.text.splitlines()] == [
        "file.processing.started",
        "file.processing.file_ready",
        "file.processing.completed",
    ]


@pytest.mark.parametrize(
    "body", [{}, {"file_name": "a", "file_size": 0, "use_case": "my_files"}], ids=["none", "empty"]
)
async def test_a_file_must_be_something(service: Service, body: dict[str, object]) -> None:
    assert (await service.web.post(FILES, json=body)).status_code == 422


async def test_another_account_does_not_see_a_file(service: Service) -> None:
    identity = await uploaded(service)
    async with service.client("loopback-b") as other:
        assert (await other.get(f"{FILES}/{identity}")).status_code == 404
        assert (await other.get(f"{FILES}/{identity}/download")).json()["error_code"] == "file_not_found"
        assert (await other.delete(f"{FILES}/{identity}")).status_code == 404


async def test_a_removed_file_is_gone(service: Service) -> None:
    identity = await uploaded(service)
    assert (await service.web.delete(f"{FILES}/{identity}")).json() == {"success": True}
    assert (await service.web.get(f"{FILES}/{identity}")).status_code == 404


def message_with(identity: str) -> dict[str, Any]:
    pointer = {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://{identity}", "size_bytes": 5}
    file = {"id": identity, "name": "cat.png", "size": 5, "mime_type": "image/png", "width": 4, "height": 3}
    return user_message("See") | {
        "content": {"content_type": "multimodal_text", "parts": [pointer, "See"]},
        "metadata": {"attachments": [file]},
    }


async def test_an_answer_tells_what_came_with_the_message(service: Service) -> None:
    identity = await uploaded(service, use="multimodal")
    heard = await service.turn("", messages=[message_with(identity)])
    assert heard.spoken().endswith('begins "See". With it came: cat.png (image/png, 5 bytes, 4x3).')


async def test_a_turn_with_a_file_that_is_not_there_is_refused(service: Service) -> None:
    created = await announced(service)
    for identity, status in (("file_unknown", 404), (created["file_id"], 400)):
        async with service.open_turn("", messages=[message_with(identity)]) as answer:
            assert answer.status_code == status
    broken = message_with(created["file_id"]) | {"metadata": {"attachments": [{"id": 1}]}}
    async with service.open_turn("", messages=[broken]) as answer:
        assert answer.status_code == 422


async def test_files_of_turns_are_had_through_their_conversation(service: Service) -> None:
    await uploaded(service)
    owner = (await service.log())[0]["account"]
    made = service.app.state.world.blobs.make(owner, b"png", "a.png", "image/png", "c1", "/mnt/data/a.png")
    ways = (
        f"/backend-api/conversation/c1/attachment/{made.id}/download",
        f"{FILES}/download/{made.id}?conversation_id=c1",
        "/backend-api/conversation/c1/interpreter/download?message_id=m&sandbox_path=/mnt/data/a.png",
    )
    for way in ways:
        url = (await service.web.get(way)).json()["download_url"]
        assert (await service.web.get(url)).content == b"png"
    for way in (ways[0].replace("c1", "c2"), ways[1].replace("c1", "c2"), ways[2].replace("a.png", "b.png")):
        assert "download_url" not in (await service.web.get(way)).json()
    assert (await service.web.get(f"{FILES}/{made.id}/download")).json()["error_code"] == "file_not_found"


async def test_a_download_can_be_made_to_break_off(service: Service) -> None:
    created = await announced(service, name="cut-here.txt")
    await put(service, created["upload_url"])
    url = (await service.web.get(f"{FILES}/{created['file_id']}/download")).json()["download_url"]
    async with httpx.AsyncClient(transport=service.web._transport) as stranger:
        with pytest.raises(httpx.RemoteProtocolError):
            await stranger.get(url)


def test_memory_is_bounded() -> None:
    blobs = Blobs(limit_bytes=10)
    kept = [blobs.make("a", b"1234", "n", "text/plain", "c") for _ in range(3)]
    with pytest.raises(Refused):
        blobs.find(kept[0].id, "a")
    assert [blobs.find(blob.id, "a").data for blob in kept[1:]] == [b"1234", b"1234"]
    large = blobs.make("a", b"x" * 11, "n", "text/plain", "c")
    assert blobs.find(large.id, "a").size == 11
