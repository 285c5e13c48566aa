"""The sentinel: what the service asks for before each turn, computed where it can be, reported where it cannot.

Two steps (prepare, finalize) with the older single call as fallback (chatgpt-web reference, section 2). The proof of
work is computed, in a thread. Turnstile, Arkose and the "so" collector are human or browser checks: the caller may
bring a Turnstile token from their own browser; otherwise the check is reported in the seeds' words.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import json

from core.chatgpt.session import Session
from core.errors import ChallengeRequired, RateLimited, UpstreamDenied, UpstreamError, UpstreamUnavailable
from core.upstreams.chatgpt_web.proof import Scheme, requirements_token, solve
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.types import Check, ProofOfWork, Requirements

TURNSTILE_HEADER = "openai-sentinel-turnstile-token"
"""The request header in which a caller may bring a token obtained in their own browser."""

_PATH = "/sentinel/chat-requirements"
_ABSENT = (404, 405)


async def requirements(session: Session, user_agent: str, turnstile_token: str | None) -> dict[str, str]:
    """Return the headers that a turn needs. Raises `ChallengeRequired` for a check that is not ours to answer."""
    config = _config(user_agent, session.device_id)
    request = json.encode({"p": requirements_token(config)})
    try:
        wanted = await _ask(session, "/prepare", request, "prepare")
    except UpstreamError as error:
        if error.upstream_status not in _ABSENT:
            raise
        return await _single_step(session, request, config, turnstile_token)
    if not wanted.prepare_token:
        raise UpstreamUnavailable("missing prepared sentinel token", upstream=UPSTREAM)
    _report_checks(wanted, turnstile_token)
    proof = await _proof(wanted.proofofwork, config, "fnv")
    final = await _finalize(session, wanted.prepare_token, proof, turnstile_token)
    tokens = {"OpenAI-Sentinel-Chat-Requirements-Prepare-Token": wanted.prepare_token}
    return tokens | _headers(final.token, proof, turnstile_token)


async def _single_step(
    session: Session, request: bytes, config: list[object], turnstile_token: str | None
) -> dict[str, str]:
    wanted = await _ask(session, "", request, "prepare")
    _report_checks(wanted, turnstile_token)
    proof = await _proof(wanted.proofofwork, config, "sha3")
    return _headers(wanted.token, proof, turnstile_token)


async def _finalize(session: Session, prepare_token: str, proof: str | None, turnstile: str | None) -> Requirements:
    fields = {"prepare_token": prepare_token, "proofofwork": proof, "turnstile": turnstile}
    body = json.encode({name: value for name, value in fields.items() if value})
    try:
        return await _ask(session, "/finalize", body, "finalize")
    except ChallengeRequired as error:
        raise turnstile_failed(error) if turnstile else error from None


def turnstile_failed(error: ChallengeRequired) -> ChallengeRequired:
    """Return the error with the words for a token that the caller brought and the service did not take (C2-26)."""
    error.message = f"turnstile token failed: {error.message}"
    return error


async def _ask(session: Session, path: str, body: bytes, step: str) -> Requirements:
    try:
        return await session.fetch("POST", _PATH + path, Requirements, body)
    except (RateLimited, UpstreamDenied, ChallengeRequired):
        raise
    except UpstreamError as error:
        if error.upstream_status is not None:
            error.message = f"sentinel {step} failed: status={error.upstream_status} {error.message}"
        raise


def _report_checks(wanted: Requirements, turnstile_token: str | None) -> None:
    if wanted.force_login:
        raise _challenge("force login required")
    if _is_required(wanted.arkose):
        raise _challenge("arkose token is required")
    if _is_required(wanted.turnstile) and not turnstile_token:
        raise _challenge("turnstile token is required")
    if _is_required(wanted.so):
        raise _challenge("sentinel so token is required")


def _is_required(check: Check | None) -> bool:
    return check is not None and check.required


def _challenge(message: str) -> ChallengeRequired:
    return ChallengeRequired(message, upstream=UPSTREAM, code="upstream_challenge_required")


async def _proof(wanted: ProofOfWork | None, config: list[object], scheme: Scheme) -> str | None:
    if wanted is None or not wanted.required:
        return None
    seed, difficulty = wanted.seed or "", wanted.difficulty or ""
    return await asyncio.to_thread(solve, seed, difficulty, config, scheme)


def _headers(token: str | None, proof: str | None, turnstile: str | None) -> dict[str, str]:
    if not token:
        raise UpstreamUnavailable("missing finalized sentinel token", upstream=UPSTREAM)
    headers: Mapping[str, str | None] = {
        "OpenAI-Sentinel-Chat-Requirements-Token": token,
        "OpenAI-Sentinel-Proof-Token": proof,
        "OpenAI-Sentinel-Turnstile-Token": turnstile,
    }
    return {name: value for name, value in headers.items() if value}


def _config(user_agent: str, device: str) -> list[object]:
    """Return the 25 items of section 2.3, with what is true of a gateway: its own name, the time, and no screen."""
    now = datetime.now(UTC).strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
    started_ms = round(time.time() * 1000)
    return [0, now, 0, 1, user_agent, None, None, "en", "en", 0, "", "", "", 0.0, device, "", 0, started_ms, *[0] * 7]
