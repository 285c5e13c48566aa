"""docs/errors.md is true: what can be had without an upstream's help has the status and the code that it tells."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.servers import KEY, Gateway, error_of, running_gateway

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d{3}) \| (.*?) \|", PAGE, re.MULTILINE)
TOLD = {(int(status), code) for status, cell in ROWS for code in re.findall(r"`([a-z_]+)`", cell)}
DEVICE = "00000000-0000-4000-8000-000000000001"


class Case(Struct, frozen=True):
    status: int
    code: str
    path: str
    sent: dict[str, Any] = {}
    method: str = "POST"
    credential: str = KEY


CASES = [
    Case(400, "missing_required_parameter", "/v1/audio/speech", {"json": {}}),
    Case(400, "invalid_json", "/v1/embeddings", {"content": b"{"}),
    Case(400, "invalid_form", "/v1/images/edits", {"content": b"", "headers": {"content-type": "multipart/form-data"}}),
    Case(400, "parse_error", "/v1/files", {"content": b"", "headers": {"content-type": "multipart/form-data"}}),
    Case(401, "invalid_api_key", "/v1/rerank", credential="sk-other"),
    Case(401, "invalid_account_id", "/v1/rerank", {"headers": {"chatgpt-account-id": "a b"}}),
    Case(403, "missing_access_token", "/v1/files", method="GET", credential=DEVICE),
    Case(403, "workspace_unavailable", "/v1/usage", {"headers": {"chatgpt-account-id": "other"}}, "GET"),
    Case(403, "upstream_not_allowed", "/v1/accTokens", method="GET", credential=DEVICE),
    Case(404, "unknown_url", "/v1/nothing"),
    Case(404, "model_not_found", "/v1/models/nothing", method="GET"),
    Case(404, "file_not_found", "/v1/files/file_x", method="DELETE"),
    Case(413, "request_too_large", "/auth/refresh", {"content": b"x" * 70_000}),
    Case(413, "file_too_large", "/v1/files", {"files": {"file": ("a", b"x" * 1001)}}),
    Case(503, "not_configured", "/v1/embeddings", {"json": {"model": "m", "input": "a"}}),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(ENABLE_EXTERNAL_TOKEN="true", MAX_UPLOAD_BYTES="1000") as gateway:
        yield gateway


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_status_and_its_code_are_those_of_the_page(case: Case, gateway: Gateway) -> None:
    assert (case.status, case.code) in TOLD
    sent = {"Authorization": f"Bearer {case.credential}", **case.sent.get("headers", {})}
    answer = gateway.web.request(case.method, case.path, **{**case.sent, "headers": sent})
    assert (answer.status_code, error_of(answer)["code"]) == (case.status, case.code)


def test_a_wrong_method_is_told_the_right_one(gateway_server: Gateway) -> None:
    answer = gateway_server.web.put("/v1/files")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert error_of(answer)["code"] is None


def test_without_a_credential_there_is_no_code(gateway_server: Gateway) -> None:
    answer = gateway_server.web.get("/v1/models", headers={"Authorization": ""})
    assert (answer.status_code, error_of(answer)["code"]) == (401, None)
