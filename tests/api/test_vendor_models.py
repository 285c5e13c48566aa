"""`GET /v1/models` over ChatGPT and vendors: whatever is listed works when it is sent back."""

from collections.abc import Iterator

import pytest

from core.loopback.vendors.openai_chat import MODELS
from tests.api.servers import KEY, SIMULATED, Gateway, running_gateway

VENDORS = {
    "OPENAI_API_KEY": "loopback-vendor-key-4c1",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "MODEL_ROUTES": "smart=openai/loopback-large; gpt-4o=openai/loopback-small",
    "UPSTREAMS": '[{"name": "down", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "loopback-x"}]',
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}, ENABLE_EXTERNAL_TOKEN="true") as gateway:
        yield gateway


def listed(gateway: Gateway, key: str = KEY) -> dict[str, str]:
    answer = gateway.web.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    return {model["id"]: model["owned_by"] for model in answer.json()["data"]}


def test_every_upstream_is_listed_and_one_that_is_down_harms_nobody(gateway: Gateway) -> None:
    models = listed(gateway)
    assert models["auto"] == "chatgpt_web"
    assert models["smart"] == models["gpt-4o"] == "openai"
    assert {name for name, owner in models.items() if owner == "openai"} == {
        "smart",
        "gpt-4o",
        *(f"openai/{name}" for name in MODELS),
    }


def test_what_is_listed_works_when_sent_back(gateway: Gateway) -> None:
    for name, owner in listed(gateway).items():
        answer = gateway.chat("Say hello", model=name)
        assert (name, answer.status_code, answer.headers["x-isthmus-upstream"]) == (name, 200, owner)
        assert gateway.web.get(f"/v1/models/{name}").json()["id"] == name


def test_who_comes_with_an_account_sees_its_models_alone(gateway: Gateway) -> None:
    assert set(listed(gateway, "eyJhbGciOiJSUzI1NiJ9.e30.x").values()) == {"chatgpt_web"}


def test_without_accounts_the_first_vendors_names_are_plain() -> None:
    environ = {"AUTH_TOKENS": KEY, **VENDORS, "MODEL_ROUTES": "", "UPSTREAMS": ""}
    with running_gateway(environ) as gateway:
        assert listed(gateway) == dict.fromkeys(MODELS, "openai")
