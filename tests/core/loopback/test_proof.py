"""The proof of work, by the published test vectors and by its laws."""

import base64
import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UpstreamUnavailable
from core.upstreams.chatgpt_web.proof import (
    PROOF_MARK,
    REQUIREMENTS_MARK,
    Scheme,
    accepts,
    fnv_hash,
    read_config,
    requirements_token,
    sha3_hash,
    solve,
    verify,
)

PUBLISHED: list[object] = [
    3000,
    "Tue Apr 21 2026 10:00:00 GMT-0700 (Pacific Daylight Time)",
    4294967296,
    1,
    "UA",
    None,
    None,
    "en-US",
    "en-US,en",
    0,
    "onLine\N{MINUS SIGN}true",
    "location",
    "fetch",
    1.5,
    "00000000-0000-4000-8000-000000000000",
    "",
    8,
    1776790800000,
    *[0] * 7,
]
HASHES = {"fnv": fnv_hash, "sha3": sha3_hash}


@pytest.mark.parametrize(("text", "expected"), [("", "ab3e7c0b"), ("abc", "1cc93dbc"), ("0.42gAAA", "2635bfe6")])
def test_published_hashes(text: str, expected: str) -> None:
    assert fnv_hash(text) == expected


def test_published_search() -> None:
    token = solve("0.42", "0fffff", PUBLISHED)
    assert verify(token, "0.42", "0fffff")[3] == 7
    assert fnv_hash("0.42" + token.removeprefix("gAAAAAB").removesuffix("~S")) == "045827b3"


def by_hand(seed: str, difficulty: str, config: list[object], scheme: Scheme) -> int:
    """Return the first accepted nonce, searched the slow and obvious way."""
    for nonce in range(20_000):
        tried = [*config[:3], nonce, *config[4:9], 0, *config[10:]]
        text = json.dumps(tried, separators=(",", ":"), ensure_ascii=False)
        if accepts(HASHES[scheme](seed + base64.b64encode(text.encode()).decode()), difficulty):
            return nonce
    raise AssertionError("no nonce found")


@pytest.mark.parametrize("scheme", ["fnv", "sha3"])
@pytest.mark.parametrize("difficulty", ["ffffff", "0fffff", "00ffff", "007fff"])
@pytest.mark.parametrize("agent", ["U", "UA", "UAX"], ids=["alignment 0", "alignment 1", "alignment 2"])
def test_the_search_finds_what_a_search_by_hand_finds(scheme: Scheme, difficulty: str, agent: str) -> None:
    config = [len(agent), agent, *PUBLISHED[2:]]
    token = solve("0.5", difficulty, config, scheme)
    assert token.endswith("~S") is (scheme == "fnv")
    assert verify(token, "0.5", difficulty, scheme)[3] == by_hand("0.5", difficulty, config, scheme)


@given(seed=st.text("0123456789.", min_size=1), agent=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_solved_is_accepted(seed: str, agent: str) -> None:
    config = [*PUBLISHED[:4], agent, *PUBLISHED[5:]]
    assert verify(solve(seed, "0fffff", config), seed, "0fffff")[4] == agent


class Case(NamedTuple):
    id: str
    seed: str
    difficulty: str
    limit: int = 500_000


HOPELESS = [
    Case("no seed", "", "0fffff"),
    Case("a difficulty that is not hex", "0.1", "easy"),
    Case("an empty difficulty", "0.1", ""),
    Case("a difficulty with a sign", "0.1", "-1"),
    Case("an absurd difficulty", "0.1", "000000000000"),
    Case("a difficulty beyond the limit on average", "0.1", "0fffff", limit=15),
    Case("no nonce within the limit", "0.2", "1fffff", limit=8),
]


@pytest.mark.parametrize("scheme", ["fnv", "sha3"])
@pytest.mark.parametrize("case", HOPELESS, ids=lambda case: case.id)
def test_a_proof_that_cannot_be_calculated_says_so(case: Case, scheme: Scheme) -> None:
    with pytest.raises(UpstreamUnavailable, match=r"^proof token calculation failed$"):
        solve(case.seed, case.difficulty, PUBLISHED, scheme, case.limit)


def test_the_requirements_token_holds_the_config_as_it_is() -> None:
    token = requirements_token(PUBLISHED)
    assert token.endswith("~S")
    assert read_config(token, REQUIREMENTS_MARK) == PUBLISHED


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("", "does not begin"),
        ("gAAAAAB~S", "no base64 JSON"),
        ("gAAAAAB*", "no base64 JSON"),
        ("gAAAAAB/w==", "no base64 JSON"),
        ("gAAAAABe30=", "no list"),
        ("gAAAAABWzFd", "no list"),
    ],
)
def test_what_is_no_token_is_refused(token: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_config(token, PROOF_MARK)


def test_a_proof_for_another_seed_is_refused() -> None:
    token = solve("0.42", "000fff", PUBLISHED)
    with pytest.raises(ValueError, match="above the difficulty"):
        verify(token, "0.43", "000fff")
