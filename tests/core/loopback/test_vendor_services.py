"""The simulated vendors' embeddings and reranking: always the same, and scripted by directives like any answer."""

import base64
import json
import math
import struct
from typing import Any

import httpx
import pytest
from msgspec import Struct

from core.loopback.vendors.openai_embeddings import DIMENSIONS, vector
from core.loopback.vendors.rerank import relevance
from tests.core.loopback.client import Service

KEY = {"Authorization": "Bearer loopback-k"}
GEMINI_KEY = {"x-goog-api-key": "loopback-g"}


async def post(service: Service, path: str, body: dict[str, Any], headers: Any = KEY) -> httpx.Response:
    return await service.web.post(path, json=body, headers=headers)


async def embed(service: Service, **fields: Any) -> httpx.Response:
    return await post(service, "/v1/embeddings", {"model": "m", "input": "sea", **fields})


async def rerank(service: Service, **fields: Any) -> httpx.Response:
    body = {"model": "m", "query": "red apple", "documents": ["sky", {"text": "red apple"}], **fields}
    return await post(service, "/v1/rerank", body)


def scripted(**keys: object) -> str:
    return f"sea\nloopback: {json.dumps(keys)}"


def test_a_vector_is_that_of_its_text_and_of_length_one() -> None:
    assert vector("sea", 8) == vector("sea", 8) != vector("sky", 8)
    assert math.hypot(*vector("sea", 64)) == pytest.approx(1)


@pytest.mark.anyio
async def test_embeddings_come_in_both_encodings(service: Service) -> None:
    numbers = (await embed(service, dimensions=4)).json()["data"][0]["embedding"]
    text = (await embed(service, dimensions=4, encoding_format="base64")).json()["data"][0]["embedding"]
    assert tuple(numbers) == struct.unpack("<4f", base64.b64decode(text)) == vector("sea", 4)


@pytest.mark.anyio
async def test_every_input_has_a_vector_of_the_usual_size(service: Service) -> None:
    body = (await embed(service, input=["a", "b"])).json()
    assert [len(item["embedding"]) for item in body["data"]] == [DIMENSIONS] * 2
    assert [item["index"] for item in body["data"]] == [0, 1]


@pytest.mark.anyio
async def test_gemini_has_the_same_vectors(service: Service) -> None:
    one = {"model": "models/m", "content": {"parts": [{"text": "sea"}]}, "outputDimensionality": 4}
    path = "/v1beta/models/m:batchEmbedContents"
    answer = await post(service, path, {"requests": [one]}, GEMINI_KEY)
    assert answer.json() == {"embeddings": [{"values": list(vector("sea", 4))}]}
    assert (await post(service, path, {"requests": [one]}, KEY)).status_code == 401


@pytest.mark.anyio
async def test_the_more_of_the_querys_words_the_better(service: Service) -> None:
    assert relevance("red apple", "An apple.") == 0.5
    results = (await rerank(service)).json()["results"]
    assert results == [
        {"index": 1, "relevance_score": 1.0, "document": {"text": "red apple"}},
        {"index": 0, "relevance_score": 0.0, "document": {"text": "sky"}},
    ]


@pytest.mark.anyio
async def test_the_best_alone_and_without_documents(service: Service) -> None:
    answer = await rerank(service, top_n=1, return_documents=False)
    assert answer.json()["results"] == [{"index": 1, "relevance_score": 1.0}]


class Case(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    status: int


REFUSED = [
    Case("what a directive says", {"input": scripted(status=429)}, 429),
    Case("an error in place of the answer", {"input": scripted(error_after_chars=1)}, 500),
    Case("a directive that is none", {"input": scripted(colour="red")}, 400),
    Case("an empty text", {"input": ["a", ""]}, 400),
    Case("an unknown encoding", {"encoding_format": "int8"}, 400),
    Case("more dimensions than there are", {"dimensions": DIMENSIONS + 1}, 400),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
@pytest.mark.anyio
async def test_a_refusal_has_the_vendors_shape(service: Service, case: Case) -> None:
    answer = await embed(service, **case.fields)
    assert answer.status_code == case.status
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.anyio
async def test_a_key_of_another_kind_is_refused(service: Service) -> None:
    answer = await post(service, "/v1/rerank", {}, {"Authorization": "Bearer sk-1"})
    assert answer.status_code == 401


@pytest.mark.anyio
async def test_attempts_and_waits_are_followed(service: Service) -> None:
    query = scripted(attempts=[{"status": 503}, {"first_delay_ms": 250}])
    assert [(await rerank(service, query=query)).status_code for _ in range(2)] == [503, 200]
    assert service.naps.taken == [0.25]
