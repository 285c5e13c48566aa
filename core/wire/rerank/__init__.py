"""Reranking, in the one format that Cohere, Jina and those who follow them share but for some names.

`requests` reads what clients send and writes what vendors get, `answers` the way back.
"""

from core.wire.rerank.answers import DocumentForm, read_answer, render_answer
from core.wire.rerank.requests import build_request, parse_rerank

__all__ = ["DocumentForm", "build_request", "parse_rerank", "read_answer", "render_answer"]
