"""An upload of 40 MB through one process: on its way the file is on disk and in the sockets, never in memory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.children import child
from tests.api.servers import KEY

SIZE, PIECE = 40 << 20, b"0123456789abcdef" * 4096
BOUNDARY = "upload"
ALLOWED_BYTES = 60 << 20
"""What the task allows; what was measured is printed."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")


def body() -> Iterator[bytes]:
    disposition = "Content-Disposition: form-data; name="
    yield f'--{BOUNDARY}\r\n{disposition}"purpose"\r\n\r\nuser_data\r\n'.encode()
    yield f'--{BOUNDARY}\r\n{disposition}"file"; filename="big.bin"\r\n\r\n'.encode()
    for _ in range(SIZE // len(PIECE)):
        yield PIECE
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def peak_bytes(process_id: int) -> int:
    """Return the most memory that a process has ever had."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


def test_forty_megabytes_go_up_and_down_without_being_held() -> None:
    with child("upstream", {}) as (_, upstream):
        environ = {"AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": "loopback-upload", "CHATGPT_BASE_URL": upstream}
        with (
            child("gateway", environ | {"LOG_LEVEL": "warning"}) as (process_id, url),
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False) as web,
        ):
            web.get("/v1/models").raise_for_status()
            before = peak_bytes(process_id)
            headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
            file = web.post("/v1/files", content=body(), headers=headers).raise_for_status().json()
            up = peak_bytes(process_id) - before
            assert file["bytes"] == SIZE
            with web.stream("GET", f"/v1/files/{file['id']}/content") as answer:
                assert sum(map(len, answer.iter_raw())) == SIZE
            both = peak_bytes(process_id) - before
    print(f"the process grew by {up >> 20} MB on the way up, {both >> 20} MB in all")
    assert both < ALLOWED_BYTES
