"""docs/embeddings.md is true: its cURL examples run against a gateway started as it says, its errors are those told."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.__main__ import complete
from api.app import create_app
from core.reranking import MAX_CHARS, MAX_DOCUMENTS
from core.settings import Settings
from core.wire.openai_embeddings.requests import MAX_INPUTS
from core.wire.rerank import requests as rerank
from tests.api.servers import serving
from tests.test_readme import run

PAGE = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text("utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CURL = [text for text in SHELL if text.startswith("curl")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    [started] = [text for text in SHELL if text.endswith("make run\n")]
    environ = dict(word.split("=", 1) for word in started.split() if "=" in word)
    with serving(create_app(complete(Settings.from_env(environ)))) as url:
        yield url


def test_the_curl_examples_print_what_is_told(url: str) -> None:
    vectors, ranking = [json.loads(run(["sh", "-c"], url, source)) for source in CURL]
    assert [len(item["embedding"]) for item in vectors["data"]] == [256, 256]
    [result] = ranking["results"]
    assert result.keys() == {"index", "relevance_score", "score", "document"}
    assert ranking["estimated"] is True


def test_the_upstreams_that_are_shown_can_be_configured() -> None:
    [shown] = [text for text in SHELL if text.startswith("UPSTREAMS=")]
    keys = {"JINA_API_KEY": "j", "COHERE_API_KEY": "c"}
    settings = Settings.from_env({"UPSTREAMS": shown.partition("=")[2].strip().strip("'"), **keys})
    assert [vendor.abilities.rerank for vendor in settings.vendors] == [True, True]


@pytest.mark.parametrize("number", [MAX_INPUTS, MAX_DOCUMENTS, MAX_CHARS, rerank.MAX_DOCUMENTS])
def test_every_limit_is_told(number: int) -> None:
    assert str(number) in PAGE or f"{number:,}".replace(",", " ") in PAGE
