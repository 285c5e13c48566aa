"""The wait that a 429 states: every spelling that was seen, and nothing out of thin air."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.retry_after import KEYS, LONGEST_WAIT_S, cooldown_s

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Case(Struct, frozen=True):
    name: str
    body: object
    expected: float | None
    headers: Mapping[str, str] = {}


CASES = [
    Case("nothing stated is no wait", {"detail": "Too many requests"}, None),
    Case("a body that is not an object states nothing", "retry_after", None),
    Case("no body states nothing", None, None),
    Case("Retry-After in seconds", None, 30.0, {"retry-after": "30"}),
    Case("Retry-After of zero is a statement", None, 0.0, {"retry-after": "0"}),
    Case("Retry-After as an HTTP date", None, 90.0, {"retry-after": "Thu, 01 Jan 2026 00:01:30 GMT"}),
    Case("Retry-After in the past is over", None, 0.0, {"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}),
    Case("an unreadable Retry-After states nothing", None, None, {"retry-after": "soon"}),
    Case("the header wins over the body", {"clears_in": 9665}, 30.0, {"retry-after": "30"}),
    Case("an unreadable header leaves the word to the body", {"clears_in": 5}, 5.0, {"retry-after": "soon"}),
    Case("clears_in within detail (chatgpt-web 3.10)", {"detail": {"clears_in": 9665}}, 9665.0),
    Case("clears_in of more than 30 days is still seconds", {"clears_in": 2_678_400}, 2_678_400.0),
    Case("resets_in_seconds", {"error": {"resets_in_seconds": 12}}, 12.0),
    Case("resets_at as a Unix time", {"error": {"resets_at": NOW + 60}}, 60.0),
    Case("resets_at as a Unix time in text", {"error": {"resets_at": str(int(NOW) + 60)}}, 60.0),
    Case("retry_after as a number", {"retry_after": 1.5}, 1.5),
    Case("reset_after as a duration", {"reset_after": "1h30m"}, 5400.0),
    Case("a duration with fractions and small units", {"reset_after": "1m2.5s500ms"}, 63.0),
    Case("resets_after as RFC 3339", {"resets_after": "2026-01-01T01:00:00+00:00"}, 3600.0),
    Case("RFC 3339 with Z and microseconds", {"resets_after": "2026-01-01T00:00:01.500000Z"}, 1.5),
    Case("RFC 3339 in another zone", {"resets_after": "2026-01-01T02:00:00+01:00"}, 3600.0),
    Case("restore_at as date and time is UTC", {"restore_at": "2026-01-01 00:00:10"}, 10.0),
    Case("reset_at in a list", {"limits": [{"x": 1}, {"reset_at": 7}]}, 7.0),
    Case("the shallower of two equal keys counts", {"a": {"retry_after": 9}, "retry_after": 3}, 3.0),
    Case("the more telling of two keys counts", {"retry_after": 9, "clears_in": 3}, 3.0),
    Case("an unreadable key leaves the word to the next", {"clears_in": None, "reset_at": 4}, 4.0),
    Case("retryDelay among an error's details", {"error": {"details": [{"retryDelay": "34.5s"}]}}, 34.5),
    Case("a truth value is not a number", {"retry_after": True}, None),
    Case("a wait of years is a misunderstanding", {"resets_at": NOW * 1000}, None),
    Case("a negative wait is over", {"retry_after": -5}, 0.0),
    Case("an endless number states nothing", {"retry_after": float("inf")}, None),
    Case("not-a-number in text states nothing", {"retry_after": "nan"}, None),
    Case("a huge whole number states nothing", {"retry_after": 10**400}, None),
    Case("a long text states nothing", {"retry_after": "1" * 65}, None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stated_wait(case: Case) -> None:
    assert cooldown_s(case.body, case.headers, NOW) == case.expected


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=4),
)


@given(body=documents, header=st.none() | st.text(max_size=70))
def test_any_answer_gives_a_sane_wait_or_none(body: object, header: str | None) -> None:
    wait = cooldown_s(body, {} if header is None else {"retry-after": header}, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT_S


@given(number=st.integers(min_value=0, max_value=LONGEST_WAIT_S), key=st.sampled_from(KEYS))
def test_a_relative_number_is_returned_as_it_is(number: int, key: str) -> None:
    assert cooldown_s({"detail": [{key: number}]}, {}, NOW) == number


def test_a_deep_or_wide_body_ends() -> None:
    deep: object = {"retry_after": 1}
    for _ in range(100_000):
        deep = [deep]
    assert cooldown_s(deep, {}, NOW) is None
