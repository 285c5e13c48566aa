"""How long a 429 said to wait. A wait that nobody stated is never invented.

Sources: the `Retry-After` header; `clears_in` (chatgpt-web 3.10), `resets_at` and `resets_in_seconds` (the
Codex usage limit, chatgpt-web 10.4), the further keys that seed gateways read (seed-behaviour A4, C2-29), and
`retryDelay` of google.rpc.RetryInfo.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

KEYS = (
    "clears_in",
    "resets_in_seconds",
    "resets_at",
    "retry_after",
    "reset_after",
    "resets_after",
    "restore_at",
    "reset_at",
    "retryDelay",
)
"""Keys of the body, the most telling first; they may stand at any depth."""

LONGEST_WAIT_S = 366 * 24 * 3600
"""A longer wait is taken for a misunderstanding, not for a statement."""

FIRST_UNIX_TIME = 1_000_000_000
"""Numbers below are seconds to wait, numbers from here on (2001) are Unix times."""

LONGEST_TEXT_CHARS = 64
MOST_NODES = 10_000

UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_amount = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|d|h|m|s)", re.ASCII)
_duration = re.compile(rf"(?:{_amount.pattern})+", re.ASCII)

Reading: TypeAlias = Callable[[str, float], float]


def cooldown_s(body: object, headers: Mapping[str, str], now: float) -> float | None:
    """Return the stated wait in seconds, 0 when it is already over, `None` when nothing was stated.

    `body` is the answer's decoded JSON (anything else states nothing), `headers` have lower-case names and
    `now` is the Unix time by which dates are turned into waits.
    """
    said = _first_of_each_key(body)
    statements = [headers.get("retry-after"), *(said.get(key) for key in KEYS)]
    waits = (_wait_s(statement, now) for statement in statements)
    return next((wait for wait in waits if wait is not None), None)


def _first_of_each_key(body: object) -> dict[str, object]:
    """Return the shallowest value of each of `KEYS`."""
    found: dict[str, object] = {}
    queue = deque([body])
    for _ in range(MOST_NODES):
        if not queue:
            break
        node = queue.popleft()
        if isinstance(node, dict):
            for key in KEYS & node.keys():
                found.setdefault(key, node[key])
            queue.extend(node.values())
        elif isinstance(node, list):
            queue.extend(node)
    return found


def _wait_s(statement: object, now: float) -> float | None:
    if isinstance(statement, str):
        wait = _wait_of_text_s(statement.strip(), now)
    elif isinstance(statement, int | float) and not isinstance(statement, bool):
        wait = _wait_of_number_s(statement, now)
    else:
        return None
    return max(0.0, wait) if wait is not None and wait <= LONGEST_WAIT_S else None


def _wait_of_text_s(text: str, now: float) -> float | None:
    if len(text) > LONGEST_TEXT_CHARS:
        return None
    for read in READINGS:
        try:
            return read(text, now)
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _wait_of_number_s(number: float, now: float) -> float | None:
    try:
        value = float(number)
    except OverflowError:
        return None
    if not math.isfinite(value):
        return None
    return value if value < FIRST_UNIX_TIME else value - now


def _read_number(text: str, now: float) -> float:
    wait = _wait_of_number_s(float(text), now)
    if wait is None:
        raise ValueError(text)
    return wait


def _read_duration(text: str, _: float) -> float:
    if not _duration.fullmatch(text):
        raise ValueError(text)
    return sum(float(amount) * UNIT_S[unit] for amount, unit in _amount.findall(text))


def _read_iso_date(text: str, now: float) -> float:
    return _until(datetime.fromisoformat(text), now)


def _read_http_date(text: str, now: float) -> float:
    return _until(parsedate_to_datetime(text), now)


def _until(moment: datetime, now: float) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.timestamp() - now


READINGS: tuple[Reading, ...] = (_read_number, _read_duration, _read_iso_date, _read_http_date)
"""What a text may be, in this order: `9665`, `1h30m`, RFC 3339 or `YYYY-MM-DD HH:MM:SS` (UTC), an HTTP date."""
