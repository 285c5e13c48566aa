"""Clients of embeddings and reranking over real HTTP, and the examples of docs/embeddings.md as they stand."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.__main__ import complete
from api.app import create_app
from core.loopback.vendors.openai_embeddings import vector
from core.settings import Settings
from core.vectors import packed
from tests.api.servers import SIMULATED, Gateway, running_gateway, serving
from tests.clients.runs import PYTHON, run_node, run_python
from tests.test_readme import run

pytestmark = pytest.mark.clients

VENDORS = {
    "OPENAI_API_KEY": "loopback-vendor",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "UPSTREAMS": '[{"name": "ranker", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-r",'
    ' "models": ["rerank-*"], "capabilities": {"rerank": true}}]',
}
VECTORS = [list(vector(text, 4)) for text in ("a", "b")]
RANKED = [[1, 1.0], [0, 0.5]]

PAGE = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = {"python": [str(PYTHON), "-c"], "javascript": ["node", "--input-type=module", "--eval"]}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


def test_the_npm_sdk(gateway: Gateway) -> None:
    told = run_node("openai_embeddings.mjs", gateway)
    assert told["unsaid"] == told["float"] == VECTORS
    assert told["base64"] == [base64.b64encode(packed(numbers)).decode() for numbers in VECTORS]
    assert told["tokens"] == [list(vector(text, 4)) for text in ("[1, 2]", "[3]")]
    assert told["refused"] == {"name": "BadRequestError", "status": 400, "param": "input[1]"}


def test_langchain(gateway: Gateway) -> None:
    assert run_python("langchain_embeddings.py", gateway) == {"documents": VECTORS, "query": VECTORS[0]}


def test_cohere(gateway: Gateway) -> None:
    told = run_python("cohere_rerank.py", gateway)
    assert told["first"] == told["second"] == RANKED
    assert told["documents"] == ["red apple", "green apple"]
    assert told["objects"] == [[1, 1.0], [0, 0.0]]
    assert told["by_chat"] == [[0, 1.0], [1, 1.0]]
    refused = told["refused"]
    assert (refused["name"], refused["status"]) == ("BadRequestError", 400)
    assert refused["body"]["error"]["param"] == "documents"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway as the page's first line starts it."""
    [started] = [text for name, text in BLOCKS if name == "sh" and text.endswith("make run\n")]
    environ = dict(word.split("=", 1) for word in started.split() if "=" in word)
    with serving(create_app(complete(Settings.from_env(environ)))) as url:
        yield url


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_examples_of_the_page_run(url: str, language: str) -> None:
    vectors, ranking = [run(COMMANDS[language], url, text) for name, text in BLOCKS if name == language]
    assert re.findall(r"\d+", vectors) == ["256", "256"]
    assert len(re.findall(r"\d(?:\.\d)?", ranking)) == 4
