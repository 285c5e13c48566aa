"""OpenAI's Embeddings API: `requests` reads what clients send and writes what vendors get, `answers` the way back."""

from core.wire.openai_embeddings.answers import read_answer, render_answer
from core.wire.openai_embeddings.requests import build_request, parse_embeddings

__all__ = ["build_request", "parse_embeddings", "read_answer", "render_answer"]
