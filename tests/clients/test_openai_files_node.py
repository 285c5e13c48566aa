"""Files and vision by the official OpenAI SDK for JavaScript, over real HTTP; `openai_files.mjs` does the talking."""

from typing import Any

import pytest

from tests.api.servers import Gateway
from tests.clients.runs import run_node

pytestmark = pytest.mark.clients

PICTURE = "(image/png, 67 bytes, 1x1)"


@pytest.fixture(scope="module")
def heard(socket_gateway: Gateway) -> dict[str, Any]:
    """Return what the SDK heard, all in one run of node."""
    return run_node("openai_files.mjs", socket_gateway)


def test_a_file_goes_in_and_comes_out(heard: dict[str, Any]) -> None:
    gone = {"kind": "NotFoundError", "code": "file_not_found", "param": None}
    assert heard["files"] == {
        "name": "cat.png",
        "bytes": 67,
        "same": True,
        "deleted": True,
        "gone": gone,
        "listed": [],
    }


def test_a_chat_shows_a_picture(heard: dict[str, Any]) -> None:
    assert heard["chat"].endswith(f"With it came: image-1.png {PICTURE}.")


def test_a_response_is_about_a_picture_and_a_file(heard: dict[str, Any]) -> None:
    assert heard["response"].endswith(f"With it came: image-1.png {PICTURE}, notes.txt (text/plain, 5 bytes).")


def test_a_foreign_id_is_refused_by_its_field(heard: dict[str, Any]) -> None:
    assert heard["foreign"] == {
        "kind": "BadRequestError",
        "code": "file_not_found",
        "param": "input[0].content[0].file_id",
    }
