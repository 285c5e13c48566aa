"""The sentinel's proof of work: a small sum that makes bulk use of ChatGPT Web dear. No I/O, no clock.

A token is a mark, the base64 text of a JSON list (the config, at least 18 items) and, in the newer scheme,
`~S`. Item 3 is the nonce, item 4 the User-Agent, item 9 the milliseconds spent. Source: reference chatgpt-web
2.3; of the two schemes "fnv" is what clients of 2026 send with the two-step sentinel, "sha3" the older one.
The seed and the base64 text are hashed as sent, so only the few base64 characters around the nonce change
between two tries.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from core.errors import UpstreamUnavailable

Scheme: TypeAlias = Literal["fnv", "sha3"]

REQUIREMENTS_MARK = "gAAAAAC"
PROOF_MARK = "gAAAAAB"
END_MARK = "~S"
NONCE, USER_AGENT, ELAPSED_MS = 3, 4, 9
FEWEST_ITEMS = 18

_OFFSET_BASIS, _PRIME = 2166136261, 16777619
_MIX_FIRST, _MIX_SECOND = 2246822507, 3266489909
_WORD = 0xFFFFFFFF
_DIFFICULTY = re.compile("[0-9a-f]{1,128}")
_LANES = 512
_LANE_BYTES = 8


def fnv_hash(text: str) -> str:
    """Return the 8 hex digits of the newer scheme: 32-bit FNV-1a over ASCII text, then a finaliser."""
    return f"{_mix(_fnv(_OFFSET_BASIS, text.encode()), ones=1):08x}"


def sha3_hash(text: str) -> str:
    """Return the 128 hex digits of the older scheme."""
    return hashlib.sha3_512(text.encode()).hexdigest()


def accepts(hash_digits: str, difficulty: str) -> bool:
    """Say whether a hash is small enough: its first digits, as text, are not above the difficulty.

    The older scheme compares bytes, which is the same for lower-case digits, an odd last digit apart.
    """
    return hash_digits[: len(difficulty)] <= difficulty


def requirements_token(config: list[object]) -> str:
    """Return the token that asks for requirements: the config as it is, no search."""
    return REQUIREMENTS_MARK + _base64(msgspec.json.encode(config)).decode() + END_MARK


def solve(seed: str, difficulty: str, config: list[object], scheme: Scheme = "fnv", limit: int = 500_000) -> str:
    """Return the proof token with the first nonce whose hash `difficulty` accepts.

    `limit` is the number of nonces tried at most (the page's own is 500 000); a difficulty that needs more
    tries than that on average is refused without one. Up to a second of CPU: call it in a thread.

    Raises:
        UpstreamUnavailable: "proof token calculation failed": no seed, a difficulty that is not hex or is too
            costly, or no nonce found.
    """
    if not seed or not _is_affordable(difficulty, limit):
        raise UpstreamUnavailable("proof token calculation failed")
    search = _Search.prepare(seed, config)
    find = _find_fnv if scheme == "fnv" else _find_sha3
    for nonces in _batches(limit):
        text = find(search, nonces, difficulty)
        if text is not None:
            return PROOF_MARK + text + (END_MARK if scheme == "fnv" else "")
    raise UpstreamUnavailable("proof token calculation failed")


def verify(token: str, seed: str, difficulty: str, scheme: Scheme = "fnv") -> list[object]:
    """Return the config of a proof token that `difficulty` accepts; raise `ValueError` saying why not."""
    config = read_config(token, PROOF_MARK)
    hashed = (fnv_hash if scheme == "fnv" else sha3_hash)(seed + _payload(token, PROOF_MARK))
    if not accepts(hashed, difficulty):
        raise ValueError(f"hash {hashed[:8]!r} is above the difficulty {difficulty!r}")
    return config


def read_config(token: str, mark: str) -> list[object]:
    """Return the config inside a token; raise `ValueError` when there is none of at least 18 items."""
    try:
        config = msgspec.json.decode(base64.b64decode(_payload(token, mark), validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the token holds no base64 JSON: {error}") from error
    if not isinstance(config, list) or len(config) < FEWEST_ITEMS:
        raise ValueError(f"the token holds no list of at least {FEWEST_ITEMS} items")
    return config


def _payload(token: str, mark: str) -> str:
    if not token.startswith(mark):
        raise ValueError(f"the token does not begin with {mark!r}")
    return token.removeprefix(mark).removesuffix(END_MARK)


def _is_affordable(difficulty: str, limit: int) -> bool:
    """The chance of one try is (difficulty + 1) in 16 to the power of its digits."""
    if not _DIFFICULTY.fullmatch(difficulty):
        return False
    possible = 1 << 4 * len(difficulty)
    return possible <= limit * (int(difficulty, 16) + 1)


def _batches(limit: int) -> Iterator[range]:
    """Yield all nonces in order, in ranges whose members have the same number of digits.

    The ranges begin short, because most difficulties are met within a few dozen tries.
    """
    start, width = 0, 10
    while start < limit:
        end = min(start + width, 10 ** len(str(start)), limit)
        yield range(start, end)
        start, width = end, min(2 * width, _LANES)


class _Search(Struct, frozen=True):
    """A config cut around its nonce. `head` is base64 already, `before` and `after` are JSON still."""

    seed: bytes
    head: bytes
    before: bytes
    after: bytes

    @classmethod
    def prepare(cls, seed: str, config: list[object]) -> "_Search":
        frozen = [*config[:ELAPSED_MS], 0, *config[ELAPSED_MS + 1 :]]
        before = msgspec.json.encode(frozen[:NONCE])[:-1] + b","
        after = b"," + msgspec.json.encode(frozen[NONCE + 1 :])[1:]
        aligned = len(before) - len(before) % 3
        return cls(seed.encode(), _base64(before[:aligned]), before[aligned:], after)

    def variants(self, nonces: range) -> tuple[list[bytes], bytes]:
        """Return the encoded characters around each nonce, all of one length, and the tail they share."""
        digits = len(str(nonces[0]))
        cut = -(len(self.before) + digits) % 3
        closing = self.after[:cut]
        middles = [_base64(b"%b%d%b" % (self.before, nonce, closing)) for nonce in nonces]
        return middles, _base64(self.after[cut:])


def _find_sha3(search: _Search, nonces: range, difficulty: str) -> str | None:
    base = hashlib.sha3_512(search.seed + search.head)
    middles, tail = search.variants(nonces)
    for middle in middles:
        attempt = base.copy()
        attempt.update(middle + tail)
        if accepts(attempt.hexdigest(), difficulty):
            return (search.head + middle + tail).decode()
    return None


def _find_fnv(search: _Search, nonces: range, difficulty: str) -> str | None:
    """Hash all nonces of the batch at once.

    Each has a lane of 64 bits in one large integer: a 32-bit state times a 32-bit factor stays inside its
    lane, so one multiplication advances every lane (measured: 800 000 tries a second, a loop over single
    nonces 42 000).
    """
    middles, tail = search.variants(nonces)
    ones = _pack(b"\x01" * len(nonces))
    word = ones * _WORD
    state = ones * _fnv(_OFFSET_BASIS, search.seed + search.head)
    columns = b"".join(middles)
    width = len(middles[0])
    for index in range(width):
        state = ((state ^ _pack(columns[index::width])) * _PRIME) & word
    spread = {character: ones * character for character in set(tail)}
    for character in tail:
        state = ((state ^ spread[character]) * _PRIME) & word
    hashes = struct.unpack(f"<{len(nonces)}Q", _mix(state, ones).to_bytes(len(nonces) * _LANE_BYTES, "little"))
    for middle, value in zip(middles, hashes, strict=True):
        if accepts(f"{value:08x}", difficulty):
            return (search.head + middle + tail).decode()
    return None


def _fnv(state: int, data: bytes) -> int:
    for byte in data:
        state = ((state ^ byte) * _PRIME) & _WORD
    return state


def _mix(state: int, ones: int) -> int:
    """Finalise the 32-bit state in every lane of `ones`; a single state is one lane, with `ones` 1."""
    word = ones * _WORD
    state = ((state ^ state >> 16) & word) * _MIX_FIRST & word
    state = ((state ^ state >> 13) & word) * _MIX_SECOND & word
    return (state ^ state >> 16) & word


def _pack(values: bytes) -> int:
    """Return one integer in which each byte has a lane of 64 bits."""
    lanes = bytearray(len(values) * _LANE_BYTES)
    lanes[::_LANE_BYTES] = values
    return int.from_bytes(lanes, "little")


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)
