"""Two hundred paced streams at once through one process: each gets its own text, and the memory comes back."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.children import child
from tests.api.servers import KEY, chat_body, content, data_frames, directive, finish_reasons

STREAMS = 200
DELTAS, DELTA_CHARS, DELAY_MS = 40, 10, 60
GROWTH_BYTES = 6 << 20
"""How much larger a wave may leave the process than the one before: 30 kB a stream, less than one that is kept."""

PAGE_BYTES = 4096

pytestmark = pytest.mark.anyio


def text_of(number: int) -> str:
    """Return a text whose every delta names its stream."""
    return f"<stream {number:03d}"[:DELTA_CHARS].ljust(DELTA_CHARS, ">") * DELTAS


async def listen(client: httpx.AsyncClient, number: int) -> tuple[float, float]:
    """Have one stream; return when its first and its last bytes came, in seconds of the loop."""
    clock = asyncio.get_running_loop().time
    prompt = directive(text=text_of(number), chunk_chars=DELTA_CHARS, delay_ms=DELAY_MS)
    first, heard = 0.0, b""
    async with client.stream("POST", "/v1/chat/completions", json=chat_body(prompt, stream=True)) as answer:
        assert answer.status_code == 200
        async for data in answer.aiter_raw():
            first = first or clock()
            heard += data
    frames = data_frames(heard.decode())
    assert content(frames) == text_of(number)
    assert (finish_reasons(frames), frames[-1]) == (["stop"], "[DONE]")
    return first, clock()


async def wave(url: str) -> int:
    """Have all streams at once; return how many were open at the same time."""
    limits = httpx.Limits(max_connections=STREAMS, max_keepalive_connections=0)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False) as client:
        spans = await asyncio.gather(*(listen(client, number) for number in range(STREAMS)))
    return max(sum(first <= moment < last for first, last in spans) for moment, _ in spans)


def resident_bytes(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * PAGE_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
async def test_two_hundred_streams_at_once_are_told_apart_and_leave_no_memory_behind() -> None:
    with child("upstream", {}) as (_, upstream):
        environ = {"AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": "loopback-load", "CHATGPT_BASE_URL": upstream}
        with child("gateway", environ | {"LOG_LEVEL": "warning"}) as (process_id, url):
            open_at_once, resident = [], []
            for _ in range(3):
                open_at_once.append(await wave(url))
                resident.append(resident_bytes(process_id))
    print(f"open at once: {open_at_once}; resident MB after each wave: {[size >> 20 for size in resident]}")
    assert max(open_at_once) == STREAMS
    assert resident[2] - resident[1] < GROWTH_BYTES
    assert resident[1] - resident[0] < 2 * GROWTH_BYTES
