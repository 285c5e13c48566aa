"""The simulated service behind Codex CLI: Responses with rules of its own, for ChatGPT's accounts (chatgpt-web 10).

It refuses what the service refuses, tells the account's limits in headers, and leaves the last event's `output` empty.
"""

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import TOKEN_EXPIRED, Json, Refused, json_response
from core.loopback.vendors.asked import Asked
from core.loopback.vendors.exchange import Vendor, answer_request
from core.loopback.vendors.openai_responses import ResponsesWriter, asked, response

MODELS = ("gpt-5.5", "gpt-5.4-mini")
HIDDEN_MODEL = "codex-auto-review"

LIMITS = {
    "x-codex-plan-type": "plus",
    "x-codex-primary-used-percent": "12.5",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "4102444800",
}

_REFUSED_FIELDS = (
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "truncation",
    "user",
    "context_management",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "stream_options",
    "previous_response_id",
    "metadata",
)


async def respond(request: Request) -> Response:
    """Answer `POST /backend-api/codex/responses`."""
    try:
        answer = await answer_request(request, VENDOR)
    except Refused as refused:
        raise Refused(refused.status, refused.body, {**LIMITS, **refused.headers}, refused.reason) from refused
    answer.headers.update(LIMITS)
    return answer


async def models(request: Request) -> Response:
    """Answer `GET /backend-api/codex/models`."""
    if not request.query_params.get("client_version"):
        raise Refused(400, {"detail": "client_version is required"})
    listed: list[Json] = [{"slug": slug, "display_name": slug, "visibility": "list"} for slug in MODELS]
    return json_response({"models": [*listed, {"slug": HIDDEN_MODEL, "visibility": "hide"}]})


def _asked(body: bytes, request: Request) -> Asked:
    fields = json.decode(body, type=dict[str, object])
    _check(fields)
    if not request.headers.get("originator"):
        raise Refused(400, {"detail": "originator is required"})
    asking = asked(body, request)
    if asking.model not in (*MODELS, HIDDEN_MODEL):
        detail = f"The '{asking.model}' model is not supported when using Codex with a ChatGPT account."
        raise Refused(400, {"detail": detail})
    return asking


def _check(fields: dict[str, object]) -> None:
    for name in _REFUSED_FIELDS:
        if name in fields:
            raise Refused(400, {"detail": f"Unsupported parameter: {name}"})
    if fields.get("store") is not False:
        raise Refused(400, {"detail": "Store must be set to false"})
    if fields.get("stream") is not True:
        raise Refused(400, {"detail": "Stream must be set to true"})
    if not isinstance(fields.get("instructions"), str):
        raise Refused(400, {"detail": "Instructions are required"})
    items = fields.get("input")
    if not isinstance(items, list):
        raise Refused(400, {"detail": "Input must be a list"})
    for item in items:
        if isinstance(item, dict) and item.get("role") == "system":
            raise Refused(400, {"detail": "System messages are not allowed"})
        if isinstance(item, dict) and item.get("id"):
            raise Refused(400, {"detail": f"Item with id {item['id']!r} not found"})


def _refusal(status: int, message: str, kind: str) -> Json:
    if status == 401:
        return TOKEN_EXPIRED
    if status == 429:
        limit = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
        return {"error": {**limit, "resets_in_seconds": 5321}}
    return {"detail": message}


VENDOR = Vendor(
    read=_asked,
    writer=lambda answer, body: ResponsesWriter(answer, repeats_output=False),
    whole=lambda answer: response(answer, answer.ending),
    refusal=_refusal,
    # Whose token it is has been looked at before (gate.py).
    key=lambda headers: "loopback",
)
