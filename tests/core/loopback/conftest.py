from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.core.loopback.client import Service

RECORDED = b'event: delta_encoding\r\ndata: "v1"\r\n\r\n: ping\r\n\r\ndata: [DONE]   \r\n\r\ntail without an end'


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    (tmp_path / "recorded.sse").write_bytes(RECORDED)
    service = Service(captures=tmp_path)
    async with service.web:
        yield service
