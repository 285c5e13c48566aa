"""Anthropic as an upstream: what it can do, and that it keeps nothing. Its calls: tests/api/test_messages.py."""

from typing import Any, cast

import pytest
from msgspec import Raw, Struct, structs

from core.accounts import Principal, Secret
from core.contracts import Exchange, Relay, Selective, Target, TokenCounter
from core.errors import NotFound
from core.request import ChatRequest, Message, OutputFormat, Reasoning, Turn
from core.transport import Transport
from core.upstreams.anthropic import Anthropic
from core.vendors import Abilities, Vendor
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic.opaque import sealed
from tests.core.exchanges import exchange

UPSTREAM = Anthropic(
    Vendor("claude", "anthropic", "https://a.example", Secret("k"), abilities=Abilities(structured_output=False))
)
NOBODY = cast(Transport, None)
KNOWN = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')


def asking(model: str = "claude-sonnet-4-5", **fields: Any) -> Exchange:
    return structs.replace(exchange(**fields), target=Target(UPSTREAM, model))


def own(asked: Exchange) -> Exchange:
    """Return an exchange with a client of Anthropic's own format."""
    return structs.replace(asked, dialect=ANTHROPIC_MESSAGES, body=b"{}")


def test_it_is_what_the_layers_look_for() -> None:
    assert isinstance(UPSTREAM, Relay)
    assert isinstance(UPSTREAM, Selective)
    assert isinstance(UPSTREAM, TokenCounter)
    assert UPSTREAM.name == "claude"


def test_it_can_do_what_its_vendor_is_said_to() -> None:
    able = UPSTREAM.capabilities("x")
    assert (able.tools, able.structured_output) == (True, False)


@pytest.mark.anyio
async def test_it_keeps_no_turns() -> None:
    for call in (UPSTREAM.recall, UPSTREAM.forget):
        with pytest.raises(NotFound, match="claude keeps no turns"):
            await call(Turn("c"), Principal("pool"), NOBODY)


class Case(Struct, frozen=True):
    id: str
    asked: Exchange
    wanted: OutputFormat
    expected: bool


SCHEMA = OutputFormat("json_schema", None, KNOWN)
FORMATS = [
    Case("a schema that it knows", asking(), SCHEMA, True),
    Case("a schema, for a model before 4.5", asking("claude-opus-4-1"), SCHEMA, False),
    Case("a schema, for a model that nobody knows", asking("glm-5"), SCHEMA, False),
    Case("a schema with limits", asking(), OutputFormat("json_schema", None, Raw(b'{"minimum":1}')), False),
    Case("JSON of any shape", asking(), OutputFormat("json_object"), False),
    Case("what comes from its own clients", own(asking("glm-5")), OutputFormat("json_object"), True),
]


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: case.id)
def test_which_formats_it_keeps_to(case: Case) -> None:
    assert UPSTREAM.honours(case.wanted, case.asked) is case.expected


def thinking(*parts: Reasoning) -> Exchange:
    request = ChatRequest("m", (Message("assistant", parts),))
    return own(structs.replace(asking(), request=request))


RELAYED = [
    ("a request of its own format", own(asking()), True),
    ("one of another format", structs.replace(asking(), body=b"{}"), False),
    ("one that was changed on the way", structs.replace(own(asking()), body=b""), False),
    ("thoughts that it signed", thinking(Reasoning("hm", sealed(signature="sig"))), True),
    ("thoughts that it hid", thinking(Reasoning("", sealed(data="x"))), True),
    ("thoughts that another model had", thinking(Reasoning("hm")), False),
]


@pytest.mark.parametrize(("asked", "expected"), [row[1:] for row in RELAYED], ids=[row[0] for row in RELAYED])
def test_what_passes_as_it_came(asked: Exchange, expected: bool) -> None:
    assert UPSTREAM.relays(asked) is expected
