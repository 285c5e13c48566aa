"""Signed ids: who may read which, until when, and what a forged one is told."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Struct

from core.accounts import Account, Principal, Secret
from core.request import Turn
from core.signing import LIFETIME_S, MAX_ID_CHARS, BadId, ForeignId, Signer, signing_key

NOW = 1_790_000_000
SIGNER = Signer(b"one key")
POOL = Principal("pool", key_digest="0" * 16)
TURN = Turn(
    "6b0105b8-2829-42ac-a62e-bc9dbc7ce7b2", "ba7ec5bf-a9cf-4e2b-b18b-d3ee0c1b9a77", "17c9a032408abee2", kept=True
)
IDENTITY = SIGNER.sign_turn("resp", TURN, POOL, NOW)

TURNS = st.builds(
    Turn,
    conversation_id=st.uuids().map(str) | st.text(max_size=40),
    message_id=st.none() | st.uuids().map(str) | st.text(max_size=40),
    account=st.none() | st.text("0123456789abcdef", min_size=16, max_size=16),
    kept=st.booleans(),
)


def own(token: str, key: str = "0" * 16) -> Principal:
    return Principal("account", key_digest=key, account=Account(Secret(token)))


@given(TURNS, st.sampled_from(("resp", "conv")), st.integers(0, 2**40))
def test_an_id_names_what_it_was_made_of(turn: Turn, prefix: str, now: int) -> None:
    identity = SIGNER.sign_turn(prefix, turn, POOL, now)
    assert identity.startswith(prefix + "_")
    named = SIGNER.read_turn(prefix, identity, POOL, now)
    assert (named.turn, named.issued) == (turn, now)


def test_another_instance_with_the_same_key_reads_it() -> None:
    assert Signer(b"one key").read_turn("resp", IDENTITY, POOL, NOW).turn == TURN


def test_an_id_is_short_and_fit_for_a_path() -> None:
    assert len(IDENTITY) < 128
    assert IDENTITY.replace("_", "").replace("-", "").isalnum()


class Case(Struct, frozen=True):
    """An id that is not read, and the reason."""

    id: str
    identity: str
    reason: str
    prefix: str = "resp"
    principal: Principal = POOL
    now: float = NOW
    signer: Signer = SIGNER


NOT_OURS = "it is not an id of this gateway"
CASES = [
    Case("nothing", "", NOT_OURS),
    Case("the prefix alone", "resp_", NOT_OURS),
    Case("an id of the API's own", "resp_00592e63e61b66660169fab1b9f8e481a2b321356198d7ac1b", NOT_OURS),
    Case("an id without a prefix", IDENTITY.removeprefix("resp_"), NOT_OURS),
    Case("an id of another kind", "conv_" + IDENTITY.removeprefix("resp_"), NOT_OURS, prefix="conv"),
    Case("an id that is cut", IDENTITY[:-4], NOT_OURS),
    Case("an id with something behind it", IDENTITY + "AAAA", NOT_OURS),
    Case("letters that no id has", IDENTITY[:-1] + "!", NOT_OURS),
    Case("letters from elsewhere", IDENTITY[:-1] + "\u00e9", NOT_OURS),
    Case("an endless id", "resp_" + "A" * MAX_ID_CHARS, NOT_OURS),
    Case("an id made with another key", IDENTITY, NOT_OURS, signer=Signer(b"another key")),
    Case(
        "another key's id", IDENTITY, "it was given to another caller", principal=Principal("pool", key_digest="1" * 16)
    ),
    Case("another account's id", IDENTITY, "it was given to another caller", principal=own("token")),
    Case("an old id", IDENTITY, "it has expired", now=NOW + LIFETIME_S + 1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_id_is_refused(case: Case) -> None:
    with pytest.raises(BadId) as caught:
        case.signer.read_turn(case.prefix, case.identity, case.principal, case.now)
    assert str(caught.value) == case.reason


def test_an_id_of_somebody_elses_is_told_from_one_of_ours() -> None:
    for identity in ("resp_00592e63e61b66660169fab1b9f8e481", "anything"):
        with pytest.raises(ForeignId):
            SIGNER.read_turn("resp", identity, POOL, NOW)
    with pytest.raises(BadId) as raised:
        SIGNER.read_turn("resp", IDENTITY, POOL, NOW + LIFETIME_S + 1)
    assert not isinstance(raised.value, ForeignId)


def test_an_id_lives_to_its_last_second() -> None:
    assert SIGNER.read_turn("resp", IDENTITY, POOL, NOW + LIFETIME_S).turn == TURN


def test_two_callers_with_their_own_accounts_are_two_callers() -> None:
    identity = SIGNER.sign_turn("resp", TURN, own("one"), NOW)
    assert SIGNER.read_turn("resp", identity, own("one"), NOW).turn == TURN
    with pytest.raises(BadId):
        SIGNER.read_turn("resp", identity, own("two"), NOW)


@given(st.integers(0, 8 * 75 - 1))
def test_a_changed_bit_anywhere_is_refused(bit: int) -> None:
    text = IDENTITY.removeprefix("resp_")
    data = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assume(bit // 8 < len(data))
    data[bit // 8] ^= 1 << bit % 8
    forged = "resp_" + base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")
    with pytest.raises(BadId):
        SIGNER.read_turn("resp", forged, POOL, NOW)


@given(st.text(max_size=80))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadId):
        SIGNER.read_turn("resp", "resp_" + text, POOL, NOW)


def test_the_key_comes_from_its_setting_else_from_the_gateway_keys() -> None:
    keys = (Secret("sk-a"), Secret("sk-b"))
    explicit = signing_key(Secret("a signing key"), keys, b"fallback")
    assert explicit == signing_key(Secret("a signing key"), (), b"other")
    assert signing_key(None, keys, b"fallback") == signing_key(None, keys[::-1], b"other") != explicit
    assert signing_key(None, keys[:1], b"fallback") != signing_key(None, keys, b"fallback")
    assert signing_key(None, (), b"fallback") == b"fallback"
