"""What the simulated service says about models, accounts and limits (reference chatgpt-web 1.6, 8)."""

from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from core.loopback.identity import Caller
from core.loopback.refusals import Json, json_response
from core.loopback.turns import limits
from core.loopback.world import caller_of

_PAGE = (
    '<!DOCTYPE html><html data-build="prod-loopback"><head><title>Loopback</title>'
    '<script src="/cdn/assets/c/abc123/_ssg.js"></script><script src="/cdn/assets/main.js"></script>'
    "</head><body></body></html>"
)
_MODELS = (
    ("auto", "Auto", "auto", ()),
    ("gpt-5-6", "GPT-5.6", "none", ()),
    ("gpt-5-6-thinking", "GPT-5.6 Thinking", "reasoning", ("standard", "extended")),
    ("gpt-5-2", "GPT-5.2", "none", ()),
)
_ANONYMOUS_MODELS = _MODELS[:1]


async def home(request: Request) -> Response:
    return HTMLResponse(_PAGE)


async def models(request: Request) -> Response:
    offered = _ANONYMOUS_MODELS if caller_of(request).is_anonymous else _MODELS
    return json_response(
        {
            "models": [_model(*model) for model in offered],
            "categories": [],
            "versions": [],
            "default_model_slug": "auto",
            "model_picker_version": 2,
        }
    )


async def me(request: Request) -> Response:
    caller = caller_of(request)
    name = f"user-{caller.key}"
    return json_response({"id": name, "email": f"{name}@example.com", "name": "Loopback", "phone_number": None})


async def accounts_check(request: Request) -> Response:
    account_id = _account_id(caller_of(request))
    account: Json = {"account_id": account_id, "plan_type": "plus", "structure": "personal", "name": None}
    entitlement: Json = {
        "subscription_plan": "chatgptplusplan",
        "has_active_subscription": True,
        "expires_at": "2100-01-01T00:00:00+00:00",
        "renews_at": None,
    }
    entry: Json = {"account": account, "entitlement": entitlement, "features": []}
    return json_response({"accounts": {account_id: entry}, "account_ordering": [account_id]})


async def conversation_init(request: Request) -> Response:
    progress: list[Json] = []
    if not caller_of(request).is_anonymous:
        progress = [{"feature_name": "image_gen", "remaining": 40, "reset_after": "2100-01-01T00:00:00+00:00"}]
    told = limits("auto") | {"limits_progress": progress}
    return json_response({"type": "conversation_detail_metadata", **told})


def _model(slug: str, title: str, reasoning_type: str, efforts: tuple[str, ...]) -> Json:
    return {
        "slug": slug,
        "title": title,
        "description": "Simulated",
        "max_tokens": 34815,
        "tags": [],
        "capabilities": {},
        "product_features": {},
        "enabled_tools": [],
        "reasoning_type": reasoning_type,
        "configurable_thinking_effort": bool(efforts),
        "thinking_efforts": [{"thinking_effort": effort} for effort in efforts],
    }


def _account_id(caller: Caller) -> str:
    return str(uuid5(NAMESPACE_URL, caller.key))
