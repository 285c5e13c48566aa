"""The README is true: its examples run as they stand, its table has every setting, its links lead somewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.__main__ import LOOPBACK_KEY, complete
from api.app import EXPOSED_HEADERS, create_app
from core.settings import VARIABLES, Settings, Variable
from tests.api.children import environment
from tests.api.servers import Gateway, serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:3040"
PLATFORM_NAMES = {"vercel": "Vercel", "lambda": "Lambda"}
RANDOM = {"id": "", "created": 0, "conversation_id": "", "message_id": ""}
"""What differs from run to run in an answer."""


def examples(language: str) -> list[tuple[str, str]]:
    """Return the examples in a language, each with the output that stands in the block after it (or nothing)."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    outputs = [*blocks[1:], ("", "")]
    pairs = zip(blocks, outputs, strict=True)
    return [
        (text, after if kind in ("json", "text") else "") for (name, text), (kind, after) in pairs if name == language
    ]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway as `make run` starts it on a machine where nothing is set."""
    with serving(create_app(complete(Settings.from_env({})))) as url:
        yield url


def run(command: list[str], url: str, source: str, folder: Path = ROOT) -> str:
    """Run an example against this gateway; return what it printed."""
    assert ADDRESS in source
    ended = subprocess.run(
        [*command, source.replace(ADDRESS, url)],
        cwd=folder,
        env=environment({"NO_PROXY": "*"}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_curl_example_prints_what_is_shown(url: str) -> None:
    [(source, shown)] = [example for example in examples("sh") if example[0].startswith("curl")]
    told: dict[str, Any] = json.loads(run(["sh", "-c"], url, source))
    expected = json.loads(shown)
    assert told.keys() == expected.keys()
    assert told | RANDOM == expected | RANDOM
    assert len(told["id"]) == len(expected["id"])


def test_the_python_example_prints_what_is_shown(url: str) -> None:
    [(source, shown)] = examples("python")
    assert run([sys.executable, "-c"], url, source).rstrip("\n") == shown.rstrip("\n")


@pytest.mark.clients
def test_the_javascript_example_prints_what_is_shown(url: str) -> None:
    [(source, shown)] = examples("javascript")
    printed = run(["node", "--input-type=module", "--eval"], url, source, ROOT / "tests" / "clients")
    assert printed.rstrip("\n") == shown.rstrip("\n")


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    [(commands, _)] = [example for example in examples("sh") if not example[0].startswith("curl")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [*commands.split("\n")[:-1], *re.findall(r"`(make [a-z-]+)`", README)]
    for command in named:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE), command


def test_the_examples_use_the_key_and_the_port_of_make_run() -> None:
    assert LOOPBACK_KEY in README
    assert f":{Settings.from_env({}).port}" in ADDRESS
    assert set(re.findall(r"http://127\.0\.0\.1:\d+", README)) == {ADDRESS}


def row(variable: Variable) -> str:
    """Return a variable's row of the settings table."""
    aliases = ", ".join(f"`{alias}`" for alias in variable.aliases)
    deployed = ", ".join(f"on {PLATFORM_NAMES[name]} `{value}`" for name, value in variable.deployed.items())
    default = f"`{variable.default}`" if variable.default else ""
    cells = [f"`{variable.name}`", aliases, f"{default} ({deployed})" if deployed else default]
    cells.append(variable.meaning.replace("|", "\\|"))
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def with_settings_table(text: str) -> str:
    """Return the README's text with the table that the code has now."""
    before, table, after = re.split(r"(?s)(?<=\|---\|---\|---\|---\|\n)((?:\| `.*?\n)+)(?=\n## Headers)", text)
    assert table
    return before + "".join(f"{row(variable)}\n" for variable in VARIABLES) + after


def test_the_settings_table_is_the_one_of_the_code() -> None:
    assert with_settings_table(README) == README, "write it anew with: python -m tests.test_readme"


def test_the_headers_of_an_answer_are_documented(gateway_server: Gateway) -> None:
    section = README.partition("\n## Headers of an answer\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z-]+)`", section))
    answer = gateway_server.chat("Say hello", temperature=1)
    sent = {name for name in answer.headers if name.startswith("x-")}
    assert {"x-isthmus-upstream", "x-isthmus-ignored-params"} <= sent <= documented
    assert documented <= set(EXPOSED_HEADERS)


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link


if __name__ == "__main__":
    (ROOT / "README.md").write_text(with_settings_table(README), encoding="utf-8")
