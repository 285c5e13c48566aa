"""LangChain's `OpenAIEmbeddings` against the gateway; prints what happened as one JSON object.

Usage: python langchain_embeddings.py BASE_URL KEY PROMPT, with the packages of requirements-clients.lock.
"""

import json
import sys

from langchain_openai import OpenAIEmbeddings  # type: ignore[import-not-found,unused-ignore]

BASE_URL, KEY, _ = sys.argv[1:]


def main() -> None:
    # By itself it sends token numbers, for which it would have to fetch a vocabulary.
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=BASE_URL,
        api_key=KEY,
        dimensions=4,
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    print(json.dumps({"documents": embeddings.embed_documents(["a", "b"]), "query": embeddings.embed_query("a")}))


if __name__ == "__main__":
    main()
