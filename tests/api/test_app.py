"""The application as a whole: layers in their order, routes about the gateway itself, CORS, what is not there."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from api import handlers
from api.app import create_app, images, responses
from api.gateway import build_gateway
from api.middleware.access import Access
from api.routing import Stack
from core import __version__
from core.settings import Settings
from core.transport import Timeouts, Transport
from tests.api.servers import KEY, SIMULATED, TOKEN, Gateway, Upstream, error_of, running_gateway

PAGE = "https://chat.example.com"
TURN_LAYERS = ("Errors", "Auth", "Intake", "Sse", "Fallback", "Tools")
GUARDED_LAYERS = ("Errors", "Auth")
SERVICE_LAYERS = (*GUARDED_LAYERS, "Attend")
SERVICES = (
    "/v1/files",
    "/v1/audio/",
    "/v1/embeddings",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
    "/v1/usage",
    "/v1/dashboard/billing/subscription",
    "/backend-api/",
)
"""How the paths begin of what takes an upstream's time and is no turn."""

OTHER_LAYERS = {
    "/v1/files/{file_id}/content": ("Errors", "AuthOrLink", "Attend"),
    "/auth/refresh": ("Errors",),
    "/auth/session": ("Errors",),
    "/v1/responses/input_tokens": (*SERVICE_LAYERS, "Intake"),
    "/v1/messages/count_tokens": (*SERVICE_LAYERS, "Intake"),
    "/v1/models/{model:path}:countTokens": (*SERVICE_LAYERS, "Intake"),
    "/v1beta/models/{model:path}:countTokens": (*SERVICE_LAYERS, "Intake"),
}
"""A link is a credential of its own; an exchange takes the caller's own token and no key."""

GOOGLES = ("/v1beta/", "/v1/models/{model:path}:")
"""How the paths begin whose key may stand in the query."""

OPEN_PATHS = ("/", "/ping", "/api/hello", "/health", "/health/ready")
OPEN = (("/v1/responses", responses.upgrade),)
"""What needs no key though it stands below /v1: the refusal of a WebSocket."""


# Topology.


def layers_of(route: Route) -> tuple[tuple[str, ...], Any]:
    """Return the names of a route's layers, the outermost first, and the handler inside them."""
    names: list[str] = []
    app: Any = route.app
    app = app.app if isinstance(app, Stack) else app
    while type(app).__module__.startswith("api.middleware."):
        names.append(type(app).__name__)
        app = app.app
    return tuple(names), app


def routes() -> list[Route]:
    return [route for route in create_app(Settings.from_env(SIMULATED)).routes if isinstance(route, Route)]


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.path} {min(route.methods or ())}")
def test_the_layers_of_a_route_are_these_in_this_order(route: Route) -> None:
    names, handler = layers_of(route)
    if route.path.startswith(GOOGLES):
        assert names[1] == "AuthByQuery"
        names = (names[0], "Auth", *names[2:])
    if handler in (handlers.answer, images.answer):
        assert names == TURN_LAYERS, "nothing foreign between sse and the handler"
    elif (route.path, handler) in OPEN or route.path in OPEN_PATHS:
        assert names == ()
    else:
        usual = SERVICE_LAYERS if route.path.startswith(SERVICES) else GUARDED_LAYERS
        assert names == OTHER_LAYERS.get(route.path, usual)


def test_chat_completions_are_a_turn() -> None:
    assert "/v1/chat/completions" in [route.path for route in routes() if layers_of(route)[1] is handlers.answer]


def test_every_request_passes_access_and_cors() -> None:
    app = create_app(Settings.from_env(SIMULATED))
    layers: list[Any] = [layer.cls for layer in app.user_middleware]
    assert layers == [Access, CORSMiddleware]


# What is asked about the gateway.


def test_the_open_routes_need_no_key(gateway_server: Gateway) -> None:
    answers = {path: get(gateway_server, path, key=None) for path in ("/", "/ping", "/health")}
    assert {path: answer.status_code for path, answer in answers.items()} == {"/": 200, "/ping": 200, "/health": 200}
    assert answers["/ping"].json() == {"message": "pong"}
    assert answers["/health"].json() == {"status": "ok", "version": __version__, "loopback": True}
    assert answers["/"].json()["version"] == __version__


class Readiness(Struct, frozen=True):
    name: str
    environ: dict[str, str]
    status: int
    usable: int = 0


ENDED = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.x"
READINESS = [
    Readiness("a key and an account", SIMULATED, 200, 1),
    Readiness("no key", {"CHATGPT_ACCESS_TOKENS": TOKEN}, 503, 1),
    Readiness("no account", {"AUTH_TOKENS": KEY}, 503),
    Readiness("an account that has ended", {"AUTH_TOKENS": KEY, "CHATGPT_ACCESS_TOKENS": ENDED}, 503),
    Readiness("callers with accounts of their own", {"ENABLE_EXTERNAL_TOKEN": "true"}, 200),
    Readiness("nothing", {}, 503),
]


@pytest.mark.parametrize("case", READINESS, ids=lambda case: case.name)
def test_readiness_tells_names_and_counts_only(case: Readiness) -> None:
    with running_gateway(case.environ) as gateway:
        answer = get(gateway, "/health/ready", key=None)
    body = answer.json()
    assert answer.status_code == case.status
    assert body["status"] == ("ready" if case.status == 200 else "not ready")
    assert sorted(body["settings_seen"]) == sorted(case.environ)
    assert body["accounts"]["usable"] == case.usable
    assert body["loopback"] is (case.environ == SIMULATED)
    assert body["deployment"] is None
    assert not [value for value in case.environ.values() if len(value) > 5 and value in answer.text]


def test_the_accounts_are_counted_in_every_spelling(gateway_server: Gateway) -> None:
    assert get(gateway_server, "/v1/accTokens").json() == {"count": 1, "canUseCount": 1, "can_use_count": 1}


def test_the_pool_is_not_counted_for_those_it_does_not_serve() -> None:
    with running_gateway(ENABLE_EXTERNAL_TOKEN="true") as gateway:
        answer = get(gateway, "/v1/accTokens", key="6f1c2f0e-6f0b-4f0a-9d4e-0a1b2c3d4e5f")
    assert answer.status_code == 403
    assert error_of(answer)["message"] == "the account pool is for holders of a gateway key"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/auto", "/v1/accTokens"])
def test_the_guarded_routes_need_the_key(path: str, gateway_server: Gateway) -> None:
    answer = get(gateway_server, path, key="sk-wrong")
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "invalid_api_key"


def test_the_models_are_the_upstreams_own(gateway_server: Gateway) -> None:
    body = get(gateway_server, "/v1/models").json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["auto", "gpt-5-6", "gpt-5-6-thinking", "gpt-5-2"]
    assert body["data"][0] == {"id": "auto", "object": "model", "created": 0, "owned_by": "chatgpt_web"}
    assert get(gateway_server, "/v1/models/gpt-5-2").json()["id"] == "gpt-5-2"


def test_a_model_that_is_not_there_is_404(gateway_server: Gateway) -> None:
    answer = get(gateway_server, "/v1/models/vendor/model")
    assert answer.status_code == 404
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'vendor/model'" in error["message"]


@pytest.mark.parametrize("rule", [{"status": 500}, {"status": 401}, {"stall": True}, {"cut": True}], ids=str)
def test_the_models_never_fail_a_client(rule: dict[str, Any], upstream_server: Upstream) -> None:
    environ = upstream_server.environ(FIRST_BYTE_TIMEOUT_SECONDS="0.2")
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/models", **rule)
    with running_gateway(environ) as gateway:
        answer = get(gateway, "/v1/models")
    assert answer.status_code == 200
    assert "auto" in [model["id"] for model in answer.json()["data"]]


def test_without_an_account_there_is_still_a_list() -> None:
    with running_gateway({"AUTH_TOKENS": KEY}) as gateway:
        assert len(get(gateway, "/v1/models").json()["data"]) > 5


# What is not there.


class Missing(Struct, frozen=True):
    name: str
    method: str
    path: str
    status: int
    kind: str


MISSING = [
    Missing("no such route", "GET", "/v2/nothing", 404, "not_found_error"),
    Missing("no such route below /v1, without a key", "POST", "/v1/nothing", 404, "not_found_error"),
    Missing("a turn that is asked with GET", "GET", "/v1/chat/completions", 405, "invalid_request_error"),
    Missing("a list that is posted to", "POST", "/v1/models", 405, "invalid_request_error"),
    Missing("a model that is deleted", "DELETE", "/v1/models/auto", 405, "invalid_request_error"),
    Missing("an open route that is deleted", "DELETE", "/ping", 405, "invalid_request_error"),
]


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.name)
def test_what_is_not_there_has_an_openai_error(case: Missing, gateway_server: Gateway) -> None:
    answer = gateway_server.web.request(case.method, case.path)
    assert answer.status_code == case.status
    assert error_of(answer)["type"] == case.kind
    if case.status == 405:
        assert answer.headers["allow"]


ANTHROPICS = {"anthropic-version": "2023-06-01"}
GOOGLES_KEY = {"x-goog-api-key": KEY}


class Shaped(Struct, frozen=True):
    """An error in the shape of the API whose path it is, or on a shared path of whoever asks."""

    name: str
    method: str
    path: str
    status: int
    headers: dict[str, str] = {}


ANTHROPIC_SHAPED = [
    Shaped("a route of Anthropic's that is not here", "POST", "/v1/messages/batches", 404),
    Shaped("a turn that is asked with GET", "GET", "/v1/messages", 405),
    Shaped("a model that is not there", "GET", "/v1/models/none", 404, ANTHROPICS),
    Shaped("a model that is deleted", "DELETE", "/v1/models/auto", 405, ANTHROPICS),
    Shaped("a list without a key", "GET", "/v1/models", 401, {**ANTHROPICS, "authorization": ""}),
]
GOOGLE_SHAPED = [
    Shaped("a route of Google's that is not here", "GET", "/v1beta/nothing", 404),
    Shaped("a model that is not there", "GET", "/v1/models/none", 404, GOOGLES_KEY),
    Shaped("a call that is not here", "POST", "/v1/models/auto:embedContent", 405, GOOGLES_KEY),
]


@pytest.mark.parametrize("case", ANTHROPIC_SHAPED, ids=lambda case: case.name)
def test_an_error_on_anthropics_paths_has_its_shape(case: Shaped, gateway_server: Gateway) -> None:
    answer = gateway_server.web.request(case.method, case.path, headers=case.headers)
    assert (answer.status_code, answer.json()["type"]) == (case.status, "error")


@pytest.mark.parametrize("case", GOOGLE_SHAPED, ids=lambda case: case.name)
def test_an_error_on_googles_paths_has_its_shape(case: Shaped, gateway_server: Gateway) -> None:
    answer = gateway_server.web.request(case.method, case.path, headers=case.headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (case.status, case.status)


def test_options_needs_no_key_and_no_origin(gateway_server: Gateway) -> None:
    answer = gateway_server.web.options("/v1/chat/completions", headers={"Authorization": ""})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "POST" in answer.headers["allow"]


# No key, no account.


@pytest.mark.parametrize("platform", ["VERCEL", "AWS_LAMBDA_FUNCTION_NAME"])
def test_a_deployment_without_a_key_is_closed(platform: str) -> None:
    with running_gateway({platform: "1", "CHATGPT_ACCESS_TOKENS": TOKEN}) as gateway:
        for answer in (gateway.chat("Say hello"), get(gateway, "/v1/models"), get(gateway, "/v1/accTokens", key=None)):
            assert answer.status_code == 503
            assert error_of(answer)["message"] == "no gateway key configured"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_deployment_without_an_account_says_so_and_simulates_nothing(stream: bool) -> None:
    with running_gateway({"VERCEL": "1", "AUTH_TOKENS": KEY}) as gateway:
        answer = gateway.chat("Say hello", stream=stream)
        assert get(gateway, "/health").json()["loopback"] is False
        assert get(gateway, "/health/ready").json()["deployment"] == "vercel"
    assert answer.status_code == 503
    assert "account" in error_of(answer)["message"]


# CORS.


@pytest.fixture(scope="module")
def browser_gateway() -> Iterator[Gateway]:
    with running_gateway(CORS_ORIGINS=PAGE) as gateway:
        yield gateway


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang,x-stainless-retry-count",
}


def test_a_preflight_needs_no_key_and_reflects_the_headers(browser_gateway: Gateway) -> None:
    headers = {"Origin": PAGE, "Authorization": "", **PREFLIGHT}
    answer = browser_gateway.web.options("/v1/chat/completions", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "http://chat.example.com", f"{PAGE}.evil.example", "null"]
)
def test_a_foreign_origin_is_not_allowed(origin: str, browser_gateway: Gateway) -> None:
    preflight = browser_gateway.web.options("/v1/models", headers={"Origin": origin, **PREFLIGHT})
    answer = browser_gateway.web.get("/v1/models", headers={"Origin": origin})
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("key", [KEY, "sk-wrong"], ids=["an answer", "an error"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_lets_the_page_read_it(key: str, stream: bool, browser_gateway: Gateway) -> None:
    answer = browser_gateway.chat("Say hello", {"Origin": PAGE, "Authorization": f"Bearer {key}"}, stream=stream)
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-isthmus-ignored-params"} <= set(exposed)
    assert "Origin" in answer.headers["vary"]


def test_no_origin_is_allowed_unless_set(gateway_server: Gateway) -> None:
    answer = gateway_server.web.get("/ping", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


def test_a_star_allows_every_origin() -> None:
    with running_gateway(CORS_ORIGINS="*") as gateway:
        answer = gateway.web.get("/ping", headers={"Origin": "https://any.example"})
        preflight = gateway.web.options("/v1/models", headers={"Origin": "https://any.example", **PREFLIGHT})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert preflight.status_code == 200


# The user agent.


def test_the_gateway_names_itself_upstream(upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ()) as gateway:
        gateway.chat("Say hello")
    assert {call["user_agent"] for call in upstream_server.log()} == {f"isthmus/{__version__}"}


def test_a_gateway_of_ones_own_is_used() -> None:
    settings = Settings.from_env(SIMULATED)
    gateway = build_gateway(settings, Transport(timeouts=Timeouts(1, 1, 1), user_agent="test"))
    assert create_app(settings, gateway).state.gateway is gateway


def get(gateway: Gateway, path: str, key: str | None = KEY) -> Any:
    headers = {"Authorization": "" if key is None else f"Bearer {key}"}
    return gateway.web.get(path, headers=headers)
