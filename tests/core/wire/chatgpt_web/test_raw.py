"""A turn in the service's own words: what is read of it, and the one thing that is mended."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import InvalidRequest
from core.wire.chatgpt_web.raw import conversation_of, with_first_role


class Case(Struct, frozen=True):
    id: str
    given: str
    expected: str | None = None
    """None says that it stays as it is, byte for byte."""


CASES = [
    Case("a role stays", '{"messages": [{"author": {"role": "user"}}] }'),
    Case("so does one that nobody knows", '{"messages": [{"author": {"role": "x"}}]}'),
    Case("no messages", '{"action": "continue"}'),
    Case("messages that are none", '{"messages": "hello"}'),
    Case("an empty list", '{"messages": []}'),
    Case("a message without an author", '{"messages": [{"content": {}}]}'),
    Case("a role that is no text", '{"messages": [{"author": {"role": 7}}]}'),
    Case(
        "an empty role becomes user, and nothing else changes",
        '{"z":1.50,"messages":[{"id":"m","author":{"n":null,"role":""},"x":1e2},{"author":{"role":""}}],"a":[ ]}',
        '{"z":1.50,"messages":[{"id":"m","author":{"n":null,"role":"user"},"x":1e2},{"author":{"role":""}}],"a":[ ]}',
    ),
    Case("so does a missing one", '{"messages":[{"author":{}}]}', '{"messages":[{"author":{"role":"user"}}]}'),
    Case("and a null", '{"messages":[{"author":{"role":null}}]}', '{"messages":[{"author":{"role":"user"}}]}'),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_first_role_alone_is_mended(case: Case) -> None:
    assert with_first_role(case.given.encode()).decode() == (case.expected or case.given)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_other_json_stays_as_it_is(value: object) -> None:
    body = json.dumps(value).encode()
    assert with_first_role(body) == body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"conversation_id":"c"}', "c"),
        (b'{"conversation_id":null}', None),
        (b'{"conversation_id":7}', None),
        (b"{}", None),
    ],
)
def test_the_conversation_is_read(body: bytes, expected: str | None) -> None:
    assert conversation_of(body) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":' * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        conversation_of(body)
