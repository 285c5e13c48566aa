"""docs/loopback.md tells of every key, and its examples can be followed."""

from pathlib import Path

import pytest
from msgspec import Struct

from core.loopback.directives import (
    Call,
    Directive,
    PictureSwitches,
    PythonSwitches,
    ResearchSwitches,
    SentinelSwitches,
    SpeechSwitches,
    find_directive,
    parse_directive,
)
from core.loopback.world import Rule

PAGE = (Path(__file__).parents[3] / "docs" / "loopback.md").read_text("utf-8")
EXAMPLES = [line for line in PAGE.splitlines() if line.startswith("loopback: ")]


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        (Directive, "## Directives"),
        (SentinelSwitches, "### The sentinel"),
        (SpeechSwitches, "### Speech and recordings"),
        (Rule, "A rule is"),
        (Call, "## Directives"),
        (PictureSwitches, "### Pictures"),
        (PythonSwitches, "### Code and research"),
        (ResearchSwitches, "A research ends"),
    ],
)
def test_every_key_is_told(kind: type[Struct], heading: str) -> None:
    section = PAGE[PAGE.index(heading) :]
    rows = "".join(line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `"))
    told = rows if kind is not Call else section.replace('"', "`")
    assert [key for key in kind.__struct_fields__ if f"`{key}`" not in told] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_directive(example: str) -> None:
    assert parse_directive(find_directive(example)) != Directive()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 3
