"""Cohere's SDK, both versions of its client, against the gateway; prints what happened as one JSON object.

Usage: python cohere_rerank.py BASE_URL KEY PROMPT, with the packages of requirements-clients.lock.
"""

import json
import sys
from typing import Any

import cohere  # type: ignore[import-not-found,unused-ignore]

BASE_URL, KEY, _ = sys.argv[1:]
HOST = BASE_URL.removesuffix("/v1")
DOCUMENTS = ["green apple", "red apple", "sky"]
ASKED: dict[str, Any] = {"query": "red apple", "documents": DOCUMENTS, "top_n": 2}


def ranked(answer: Any) -> list[Any]:
    return [[result.index, result.relevance_score] for result in answer.results]


def refused(client: Any) -> Any:
    try:
        client.rerank(model="rerank-1", query="x", documents=[])
    except cohere.core.ApiError as error:
        return {"name": type(error).__name__, "status": error.status_code, "body": error.body}
    return None


def main() -> None:
    first = cohere.Client(base_url=HOST, api_key=KEY)
    second = cohere.ClientV2(base_url=HOST, api_key=KEY)
    with_documents = first.rerank(model="rerank-1", return_documents=True, **ASKED)
    objects = first.rerank(model="rerank-1", query="red", documents=[{"text": "sky"}, {"text": "red"}])
    heard = {
        "first": ranked(first.rerank(model="rerank-1", **ASKED)),
        "second": ranked(second.rerank(model="rerank-1", **ASKED)),
        "documents": [result.document.text for result in with_documents.results],
        "objects": ranked(objects),
        "by_chat": ranked(second.rerank(model="auto", **ASKED)),
        "refused": refused(second),
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
