"""`/v1/files` by the official SDK and by hand: in, described, out, removed, and every way in which that is refused."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from msgspec import Struct, structs

from api.gateway import build_gateway
from core.accounts import Account, Principal, Secret
from core.request import StoredFile
from core.settings import Settings
from core.signing import LIFETIME_S, LINK_LIFETIME_S, BadId, Signer, signing_key
from tests.api.servers import KEY, Gateway, Upstream, error_of, running_gateway
from tests.core.test_accounts import jwt
from tests.core.upstreams.chatgpt_web.test_files import PNG

DEVICE = "00000000-0000-4000-8000-000000000001"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
OPEN = {"ENABLE_EXTERNAL_TOKEN": "true"}


def sdk(gateway: Gateway, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def form(data: bytes = b"hello", name: str = "notes.txt", **fields: str) -> dict[str, Any]:
    """Return what httpx posts as a form."""
    return {"files": {"file": (name, data)}, "data": {"purpose": "assistants", **fields}}


def uploaded(gateway: Gateway, data: bytes = b"hello", name: str = "notes.txt") -> str:
    identity: str = gateway.web.post("/v1/files", **form(data, name)).raise_for_status().json()["id"]
    return identity


@pytest.fixture(scope="module")
def gateway(upstream_server: Upstream) -> Iterator[Gateway]:
    """A gateway with one account, which is `account`'s."""
    with running_gateway(upstream_server.environ(MAX_UPLOAD_BYTES="100000", **OPEN)) as running:
        yield running


# By the SDK.


def test_the_sdk_puts_a_file_in_and_gets_it_out(gateway: Gateway) -> None:
    with sdk(gateway) as client:
        file = client.files.create(file=("cät.png", PNG), purpose="vision")
        assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(PNG), "cät.png", "vision")
        assert file.status == "processed"
        assert file.expires_at == file.created_at + LIFETIME_S
        assert abs(file.created_at - time.time()) < 60
        assert client.files.retrieve(file.id) == file
        content = client.files.content(file.id)
        assert content.read() == PNG
        assert content.response.headers["content-type"] == "image/png"
        deleted = client.files.delete(file.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
        with pytest.raises(openai.NotFoundError) as caught:
            client.files.retrieve(file.id)
        assert caught.value.code == "file_not_found"


def test_the_id_stands_under_both_names(gateway: Gateway) -> None:
    body = gateway.web.post("/v1/files", **form()).json()
    assert body["file_id"] == body["id"]
    assert body["id"].startswith("file_")


def test_there_is_no_list_and_it_says_so(gateway: Gateway) -> None:
    with sdk(gateway) as client:
        assert list(client.files.list()) == []
    assert gateway.web.get("/v1/files").headers["x-isthmus-note"] == "files are not listed; keep the id"


EXPIRING: dict[str, Any] = {
    "files": {"file": ("notes.txt", b"hello")},
    "data": {"purpose": "assistants", "expires_after[anchor]": "created_at", "expires_after[seconds]": "9"},
}


def test_what_a_form_holds_besides_is_named_as_ignored(gateway: Gateway) -> None:
    answer = gateway.web.post("/v1/files", **EXPIRING)
    assert answer.headers["x-isthmus-ignored-params"] == "expires_after[anchor], expires_after[seconds]"


def test_the_model_is_shown_a_kept_picture(gateway: Gateway) -> None:
    with sdk(gateway) as client:
        picture = client.files.create(file=("cat.png", PNG), purpose="vision").id
        notes = client.files.create(file=("notes.txt", b"hello"), purpose="assistants").id
        told = "cat.png (image/png, 70 bytes, 1x1), notes.txt (text/plain, 5 bytes)"
        messages: Any = [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "input_image", "file_id": picture},
                    {"type": "input_file", "file_id": notes},
                ],
            }
        ]
        answer = client.chat.completions.create(model="auto", messages=messages)
        assert told in (answer.choices[0].message.content or "")
        items: Any = [{**messages[0], "content": [{"type": "input_text", "text": "Hm?"}, *messages[0]["content"][1:]]}]
        assert told in client.responses.create(model="auto", input=items).output_text


VISION: list[tuple[str, Any]] = [
    ("an object", {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}),
    ("a bare string", {"type": "image_url", "image_url": DATA_URL}),
    ("the Responses form", {"type": "input_image", "image_url": DATA_URL}),
    ("a file with its data", {"type": "file", "file": {"filename": "image-1.png", "file_data": DATA_URL}}),
]


@pytest.mark.parametrize("part", [part for _, part in VISION], ids=[name for name, _ in VISION])
def test_a_chat_may_hold_a_picture(gateway: Gateway, part: Any) -> None:
    with sdk(gateway) as client:
        content = [{"type": "text", "text": "What is this?"}, part]
        chunks = client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": content}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.endswith("With it came: image-1.png (image/png, 70 bytes, 1x1).")


def test_a_response_may_be_about_pictures_and_files(gateway: Gateway) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
        {"type": "input_file", "filename": "a.csv", "file_data": "data:text/csv;base64,YSxiCg=="},
    ]
    with sdk(gateway) as client:
        answer = client.responses.create(model="auto", input=[{"role": "user", "content": content}])
    assert "image-1.png (image/png, 70 bytes, 1x1), a.csv (text/csv, 4 bytes)" in answer.output_text


def test_a_tool_may_answer_with_a_picture(gateway: Gateway) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    output = {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_text", "text": "Seen."}, {"type": "input_image", "image_url": DATA_URL}],
    }
    tools: Any = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    items: Any = [{"role": "user", "content": "Look."}, call, output]
    with sdk(gateway) as client:
        answer = client.responses.create(model="auto", input=items, tools=tools)
    assert 'look answered "Seen.". With it came: image-1.png (image/png, 70 bytes, 1x1).' in answer.output_text


# What is refused.


class Refused(Struct, frozen=True):
    id: str
    sent: dict[str, Any]
    status: int
    param: str | None
    code: str | None
    says: str = ""


JSON = {"content": b"{}", "headers": {"content-type": "application/json"}}
REFUSED = [
    Refused("no purpose", {"files": {"file": ("a", b"x")}}, 400, "purpose", "missing_required_parameter"),
    Refused("an unknown purpose", form(purpose="fun"), 400, "purpose", None, "assistants, vision, user_data"),
    Refused("a purpose that leads nowhere", form(purpose="batch"), 400, "purpose", None),
    Refused(
        "two purposes", {**form(), "data": {"purpose": ["vision", "assistants"]}}, 400, "purpose", "repeated_field"
    ),
    Refused(
        "no file",
        {"data": {"purpose": "vision"}, "files": {"other": ("a", b"x")}},
        400,
        "file",
        "missing_required_parameter",
    ),
    Refused(
        "a file that is a text field", {"files": {"file": (None, "x"), "purpose": (None, "vision")}}, 400, "file", None
    ),
    Refused("an empty file", form(b""), 400, "file", "empty_file"),
    Refused("two files", {"files": [("file", ("a", b"x")), ("file", ("b", b"x"))]}, 400, "file", "parse_error"),
    Refused("no form", JSON, 400, None, "invalid_content_type"),
    Refused("a file that is too large", form(b"x" * 100_001), 413, None, "file_too_large"),
    Refused("a body that is much too large", form(b"x" * 2_000_000), 413, None, "file_too_large"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_an_upload_may_be_refused(gateway: Gateway, upstream_server: Upstream, case: Refused) -> None:
    before = len(upstream_server.log())
    answer = gateway.web.post("/v1/files", **case.sent)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (case.status, case.param), error
    assert case.code in (None, error["code"])
    assert case.says in error["message"]
    assert len(upstream_server.log()) == before


def test_a_body_that_says_it_is_too_large_is_not_read(gateway: Gateway) -> None:
    address = urlsplit(gateway.url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {1 << 40}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_an_anonymous_device_has_no_files(gateway: Gateway) -> None:
    for method, path in (
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/x"),
        ("DELETE", "/v1/files/x"),
    ):
        answer = httpx.request(method, gateway.url + path, headers={"Authorization": f"Bearer {DEVICE}"})
        assert answer.status_code == 403
        assert error_of(answer)["message"] == "Files API requires a logged-in ChatGPT account."


def test_without_a_credential_there_is_nothing(gateway: Gateway) -> None:
    for path in ("/v1/files", "/v1/files/file_x", "/v1/files/file_x/content", "/v1/files/link_x"):
        assert httpx.get(gateway.url + path).status_code == 401


def test_a_failed_upload_has_a_code(gateway: Gateway, upstream_server: Upstream) -> None:
    upstream_server.script(path="/backend-api/files", status=500, times=1)
    answer = gateway.web.post("/v1/files", **form())
    assert (answer.status_code, error_of(answer)["code"]) == (503, "file_upload_error")


# Ids.


def signer() -> Signer:
    return Signer(signing_key(None, (Secret(KEY),), b""))


HOLDER = Principal("pool", key_digest=Secret(KEY).digest)
FILE = StoredFile("file_01", "0" * 16)


def identities() -> list[tuple[str, str]]:
    now = int(time.time())
    good = signer().sign_file(FILE, HOLDER, now)
    return [
        ("tampered", good[:-3] + ("AAA" if good[-3:] != "AAA" else "BBB")),
        ("expired", signer().sign_file(FILE, HOLDER, now - LIFETIME_S - 9)),
        ("another caller's", signer().sign_file(FILE, Principal("pool", key_digest="other"), now)),
        ("another gateway's", Signer(b"another").sign_file(FILE, HOLDER, now)),
        ("OpenAI's", "file-abc123"),
        ("a link", signer().sign_link(FILE, HOLDER, now)),
        ("a response's", "resp_abc"),
        ("much too long", "file_" + "A" * 4000),
    ]


@pytest.mark.parametrize("identity", [identity for _, identity in identities()], ids=[name for name, _ in identities()])
def test_an_id_that_is_no_good(gateway: Gateway, identity: str) -> None:
    for method, path in (("GET", ""), ("DELETE", "")):
        answer = gateway.web.request(method, f"/v1/files/{identity}{path}")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "file_not_found")
    part = {"type": "input_image", "file_id": identity}
    chat = gateway.chat([{"type": "text", "text": "See"}, part])
    error = error_of(chat)
    assert (chat.status_code, error["param"], error["code"]) == (
        400,
        "messages[0].content[1].file_id",
        "file_not_found",
    )
    body = {"model": "auto", "input": [{"role": "user", "content": [part]}]}
    answer = gateway.web.post("/v1/responses", json=body)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "input[0].content[0].file_id")


# Which account.


def test_files_and_questions_meet_in_one_account(upstream_server: Upstream) -> None:
    """Two instances with the same settings agree, without talking, on where a file is."""
    environ = upstream_server.environ(SIGNING_KEY="agreed")
    first = environ["CHATGPT_ACCESS_TOKENS"]
    environ["CHATGPT_ACCESS_TOKENS"] = ",".join([first, *(f"{first}-{number}" for number in range(5))])
    with running_gateway(environ) as one, running_gateway(environ) as other:
        identity = uploaded(one, PNG, "cat.png")
        keeper = upstream_server.log()[-1]["account"]
        for number in range(3):
            content = [{"type": "text", "text": f"See {number}"}, {"type": "image", "file_id": identity}]
            assert "cat.png" in other.chat(content).json()["choices"][0]["message"]["content"]
            assert upstream_server.turns()[-1]["account"] == keeper
        assert other.web.get(f"/v1/files/{identity}/content").content == PNG


def test_instances_without_gateway_keys_agree_by_their_prefixes() -> None:
    environ = {"CHATGPT_BASE_URL": "loopback://chatgpt", "ACCESS_TOKEN_PREFIXES": "our-private-prefix-"}
    one, other, stranger = (
        build_gateway(Settings.from_env({**environ, **others})).signer
        for others in ({}, {}, {"ACCESS_TOKEN_PREFIXES": "their-private-prefix-"})
    )
    now = int(time.time())
    identity = one.sign_file(FILE, HOLDER, now)
    assert other.read_file(identity, HOLDER, now) == FILE
    with pytest.raises(BadId):
        stranger.read_file(identity, HOLDER, now)


def of_user(serial: int) -> str:
    """Return a token of one user's, as the simulated service takes it for one account."""
    auth = {"chatgpt_user_id": "user-1", "chatgpt_account_id": "home"}
    return jwt(**{"jti": str(serial), "loopback_account": "renewed", "https://api.openai.com/auth": auth})


def test_an_id_outlives_the_renewal_of_its_accounts_token(upstream_server: Upstream) -> None:
    """A caller whose own token says the same of itself is another caller all the same: nobody has verified it."""
    environ = upstream_server.environ(SIGNING_KEY="agreed", **OPEN)
    with running_gateway(environ, CHATGPT_ACCESS_TOKENS=of_user(1)) as before:
        identity = uploaded(before)
    with running_gateway(environ, CHATGPT_ACCESS_TOKENS=of_user(2)) as after:
        assert after.web.get(f"/v1/files/{identity}/content").content == b"hello"
        for serial in (1, 2):
            own = {"Authorization": f"Bearer {of_user(serial)}"}
            assert after.web.get(f"/v1/files/{identity}", headers=own).status_code == 404
        forged = {"Authorization": f"Bearer {of_user(3)}"}
        theirs = httpx.post(f"{after.url}/v1/files", headers=own, **form()).raise_for_status().json()["id"]
        assert after.web.get(f"/v1/files/{theirs}", headers=own).status_code == 200
        assert after.web.get(f"/v1/files/{theirs}", headers=forged).status_code == 404


def test_files_of_two_accounts_are_not_for_one_question(gateway: Gateway) -> None:
    ids = [
        signer().sign_file(StoredFile(f"file_{token}", Account(Secret(token)).digest), HOLDER, int(time.time()))
        for token in ("loopback-one", "loopback-two")
    ]
    answer = gateway.chat(
        [{"type": "text", "text": "See"}, *({"type": "file", "file_id": identity} for identity in ids)]
    )
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (400, "messages[0].content[2].file_id")
    assert error["code"] == "file_in_other_account"


def test_the_account_of_a_file_may_be_gone(gateway: Gateway) -> None:
    identity = signer().sign_file(FILE, HOLDER, int(time.time()))
    for answer in (
        gateway.web.get(f"/v1/files/{identity}"),
        gateway.web.get(f"/v1/files/{identity}/content"),
        gateway.chat([{"type": "text", "text": "See"}, {"type": "file", "file_id": identity}]),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (409, "account_unavailable")


# The bytes.


def test_bytes_come_with_what_a_browser_must_know(gateway: Gateway) -> None:
    page = uploaded(gateway, b"<script>alert(1)</script>", '../"é\r\n.html')
    headers = gateway.web.get(f"/v1/files/{page}/content").headers
    assert headers["content-type"].startswith("text/html")
    assert headers["content-disposition"].startswith("attachment; filename=")
    assert "\r" not in headers["content-disposition"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["accept-ranges"] == "none"
    assert headers["content-length"] == "25"
    picture = uploaded(gateway, PNG, "cät.png")
    shown = gateway.web.get(f"/v1/files/{picture}/content").headers["content-disposition"]
    assert shown == "inline; filename=\"c_t.png\"; filename*=UTF-8''c%C3%A4t.png"


def link_to(gateway: Gateway, file: StoredFile, age_s: int = 0) -> str:
    now = int(time.time()) - age_s
    return f"{gateway.url}/v1/files/{signer().sign_link(file, HOLDER, now)}/content"


def stored(identity: str) -> StoredFile:
    return signer().read_file(identity, HOLDER, time.time())


def test_a_link_opens_its_file_without_a_credential(gateway: Gateway) -> None:
    file = stored(uploaded(gateway, PNG, "cat.png"))
    answer = httpx.get(link_to(gateway, file))
    assert (answer.status_code, answer.content) == (200, PNG)
    assert gateway.web.get(link_to(gateway, file)).content == PNG


def test_a_link_does_not_open_for_ever(gateway: Gateway) -> None:
    file = stored(uploaded(gateway))
    for url in (link_to(gateway, file, LINK_LIFETIME_S + 9), link_to(gateway, file)[:-12] + "AAAA/content"):
        answer = httpx.get(url)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "file_not_found")


def test_a_link_into_a_callers_own_account_needs_their_credential(gateway: Gateway, upstream_server: Upstream) -> None:
    own = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvd24ifQ.c2lnbmF0dXJl"}
    identity = (
        httpx.post(f"{gateway.url}/v1/files", headers=own, **form(PNG, "cat.png")).raise_for_status().json()["id"]
    )
    account = Account(Secret(own["Authorization"].removeprefix("Bearer ")))
    file = signer().read_file(identity, Principal("account", account=account), time.time())
    assert file.account == account.digest
    refused = httpx.get(link_to(gateway, file))
    assert refused.status_code == 401
    assert "send their credential with it" in error_of(refused)["message"]
    assert httpx.get(link_to(gateway, file), headers=own).content == PNG


def test_a_link_of_ours_is_not_fetched_but_followed(gateway: Gateway) -> None:
    file = stored(uploaded(gateway, PNG, "cat.png"))
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": link_to(gateway, file)}}]
    assert "cat.png (image/png" in gateway.chat(content).json()["choices"][0]["message"]["content"]
    stale = structs.replace(file, id="file_99")
    url = link_to(gateway, stale, LINK_LIFETIME_S + 9)
    refused = error_of(
        gateway.chat([{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": url}}])
    )
    assert refused["param"] == "messages[0].content[1].image_url.url"


def test_a_link_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "isthmus.access"), running_gateway() as gateway:
        url = link_to(gateway, stored(uploaded(gateway)))
        assert httpx.get(url, trust_env=False).status_code == 200
    # A line is written after the answer: only a server that has ended has written them all.
    lines = [json.loads(record.getMessage())["path"] for record in caplog.records if record.name == "isthmus.access"]
    assert "/v1/files/link_.../content" in lines
    assert url.split("/")[-2] not in caplog.text


def test_a_download_that_breaks_off_does_not_look_whole(gateway: Gateway) -> None:
    identity = uploaded(gateway, b"x" * 50_000, "cut-here.txt")
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.web.get(f"/v1/files/{identity}/content")
    assert uploaded(gateway)
