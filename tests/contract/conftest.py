from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.api.servers import KEY, Gateway


@pytest.fixture
def client(socket_gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(api_key=KEY, base_url=f"{socket_gateway.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(socket_gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{socket_gateway.url}/v1", max_retries=0) as client:
        yield client
