"""docs/accounts.md is true: its examples run against a gateway as `make run` starts it."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.__main__ import complete
from api.app import create_app
from core.settings import Settings
from tests.api.servers import serving
from tests.test_readme import run

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SHELL = [text for name, text in BLOCKS if name == "sh"]
KEYS = [
    {"access_token", "refresh_token", "token_type", "expires_in"},
    {"access_token", "accessToken", "session_token", "expires"},
    {"object", "data", "total_usage"},
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_app(complete(Settings.from_env({})))) as url:
        yield url


@pytest.mark.parametrize(("source", "keys"), list(zip(SHELL, KEYS, strict=True)), ids=["refresh", "session", "usage"])
def test_a_curl_example_prints_what_is_told(source: str, keys: set[str], url: str) -> None:
    told = json.loads(run(["sh", "-c"], url, source))
    assert told.keys() == keys


def test_the_json_that_is_shown_has_the_fields_that_come(url: str) -> None:
    shown = [json.loads(text) for name, text in BLOCKS if name == "json"]
    assert shown[0].keys() == KEYS[0]
    [entry], [came] = shown[1]["data"], json.loads(run(["sh", "-c"], url, SHELL[2]))["data"]
    assert entry.keys() == came.keys()
    assert entry["subscription"].keys() == came["subscription"].keys()


def test_the_python_example_prints_a_stream(url: str) -> None:
    [source] = [text for name, text in BLOCKS if name == "python"]
    assert run([sys.executable, "-c"], url, source).rstrip().endswith("data: [DONE]")
