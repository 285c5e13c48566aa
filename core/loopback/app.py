"""The simulated vendor world as one Starlette app: every route on one screen."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.loopback import account, audio, control, conversation, files, sentinel_calls, tokens
from core.loopback.calls import CallLog
from core.loopback.gate import Gate
from core.loopback.refusals import Refused
from core.loopback.vendors import (
    anthropic,
    codex,
    gemini,
    gemini_embeddings,
    openai_audio,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_images,
    openai_responses,
    rerank,
)
from core.loopback.world import World

_ID = "{conversation_id}"
_FILE = "{file_id}"

_BOTH = [
    ("POST", "/sentinel/chat-requirements", sentinel_calls.one_step),
    ("POST", "/sentinel/chat-requirements/prepare", sentinel_calls.prepare),
    ("POST", "/sentinel/chat-requirements/finalize", sentinel_calls.finalize),
    ("POST", "/f/conversation/prepare", conversation.prepare_turn),
    ("POST", "/f/conversation", conversation.take_turn),
    ("POST", "/conversation", conversation.take_turn),
    ("POST", "/f/conversation/resume", conversation.resume_turn),
    ("POST", "/conversation/init", account.conversation_init),
    ("GET", "/models", account.models),
]
_SIGNED_IN = [
    ("GET", f"/conversation/{_ID}", conversation.get_conversation),
    ("PATCH", f"/conversation/{_ID}", conversation.change_conversation),
    ("GET", f"/conversation/{_ID}/stream_status", conversation.get_stream_status),
    ("POST", f"/conversation/{_ID}/async-status", conversation.mark_seen),
    ("GET", "/conversations", conversation.list_conversations),
    ("GET", "/tasks", conversation.list_tasks),
    ("GET", "/synthesize", audio.synthesize),
    ("POST", "/transcribe", audio.transcribe),
    ("POST", "/files", files.create),
    ("POST", "/files/process_upload_stream", files.process),
    ("GET", f"/files/{_FILE}", files.describe),
    ("DELETE", f"/files/{_FILE}", files.remove),
    ("POST", f"/files/{_FILE}/uploaded", files.confirm),
    ("GET", f"/files/{_FILE}/download", files.download),
    ("GET", f"/files/download/{_FILE}", files.download_for_conversation),
    ("GET", f"/conversation/{_ID}/attachment/{_FILE}/download", files.download_attachment),
    ("GET", f"/conversation/{_ID}/interpreter/download", files.download_from_sandbox),
    ("GET", "/estuary/content", files.content),
    ("GET", "/codex/models", codex.models),
    ("POST", "/codex/responses", codex.respond),
    ("GET", "/me", account.me),
    ("GET", "/accounts/check/v4-2023-04-27", account.accounts_check),
]
_VENDORS = [
    ("POST", "/v1/chat/completions", openai_chat.complete),
    ("POST", "/v1/responses", openai_responses.respond),
    ("POST", "/v1/completions", openai_completions.complete),
    ("POST", "/v1/audio/speech", openai_audio.speak),
    ("POST", "/v1/audio/transcriptions", openai_audio.transcribe),
    ("POST", "/v1/audio/translations", openai_audio.transcribe),
    ("POST", "/v1/images/generations", openai_images.generate),
    ("POST", "/v1/images/edits", openai_images.edit),
    ("POST", "/v1/images/variations", openai_images.edit),
    ("POST", "/v1/embeddings", openai_embeddings.embed),
    ("POST", "/v1/rerank", rerank.rerank),
    ("GET", "/v1/models", anthropic.models),
    ("POST", "/v1/messages", anthropic.create),
    ("POST", "/v1/messages/count_tokens", anthropic.count),
    ("POST", "/v1beta/models/{model}:generateContent", gemini.generate),
    ("POST", "/v1beta/models/{model}:streamGenerateContent", gemini.generate),
    ("POST", "/v1beta/models/{model}:countTokens", gemini.count),
    ("POST", "/v1beta/models/{model}:batchEmbedContents", gemini_embeddings.embed),
    ("GET", "/v1beta/models", gemini.models),
]
_OUTSIDE = [
    ("GET", "/", account.home),
    ("GET", "/api/auth/session", tokens.session),
    ("POST", "/oauth/token", tokens.renew),
    ("PUT", f"{files.STORAGE_PATH}/{_FILE}", files.put),
    ("GET", f"{files.STORAGE_PATH}/{_FILE}", files.stored_bytes),
    ("GET", "/loopback/log", control.read_log),
    ("POST", "/loopback/reset", control.reset),
    ("POST", "/loopback/script", control.add_rule),
]


def create_loopback(
    captures: Path | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Return a simulated vendor world of its own.

    `captures` is the folder whose `*.sse` files a directive may replay. `clock` gives Unix seconds and
    `sleep` waits between deltas; tests pass their own.
    """
    world = World(captures, clock, sleep)
    routes = [
        *(Route(f"/backend-api{path}", call, methods=[method]) for method, path, call in _BOTH + _SIGNED_IN),
        *(Route(f"/backend-anon{path}", call, methods=[method]) for method, path, call in _BOTH),
        *(Route(path, call, methods=[method]) for method, path, call in _VENDORS + _OUTSIDE),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(CallLog, calls=world.calls), Middleware(Gate, world=world)],
        exception_handlers={Refused: _refuse},
    )
    app.state.world = world
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()
