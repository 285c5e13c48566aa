"""What stays in the account and how a later request finds it: from any instance, for its own caller, and no longer.

The upstream is on a real port, so that it is all that two instances share.
"""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct

from api.app import create_app
from api.gateway import build_gateway
from core.settings import Settings
from core.signing import LIFETIME_S
from tests.api.children import child
from tests.api.responses_calls import post, streamed, text_of, whole
from tests.api.servers import (
    KEY,
    Gateway,
    Json,
    Upstream,
    directive,
    error_of,
    running_gateway,
    running_upstream,
    serving,
)

OTHER_KEY = "sk-test-0d4411aa-another-key"


class Account:
    """The upstream's account of one test: what its turns said, and what it keeps."""

    def __init__(self, upstream: Upstream, environ: dict[str, str]) -> None:
        self.upstream = upstream
        self.environ = environ
        self.token = environ["CHATGPT_ACCESS_TOKENS"]
        self._before = len(upstream.log())

    def turns(self) -> list[Json]:
        """Return the calls with a turn, of this test."""
        return [call for call in self.upstream.log()[self._before :] if call["path"].endswith("/f/conversation")]

    def bodies(self) -> list[Json]:
        return [call["body"] for call in self.turns()]

    def tree(self, conversation_id: str, token: str = "") -> Json:
        """Return what the upstream keeps of a conversation."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        url = f"{self.upstream.url}/backend-api/conversation/{conversation_id}"
        kept: Json = httpx.get(url, headers=headers, trust_env=False).raise_for_status().json()
        return kept


@pytest.fixture(scope="module")
def upstream_server() -> Iterator[Upstream]:
    """An upstream of this module's own: its tests look into it directly, which would stand in the shared one's log."""
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def account(upstream_server: Upstream) -> Account:
    return Account(upstream_server, upstream_server.environ())


@pytest.fixture
def gateway(account: Account) -> Iterator[Gateway]:
    with running_gateway(account.environ) as gateway:
        yield gateway


def pool_of_five(upstream: Upstream) -> dict[str, str]:
    environ = upstream.environ()
    tokens = [f"{environ['CHATGPT_ACCESS_TOKENS']}-{number}" for number in range(5)]
    return {**environ, "CHATGPT_ACCESS_TOKENS": ",".join(tokens)}


# From one instance to another.


def test_a_response_is_continued_by_another_process(upstream_server: Upstream) -> None:
    environ = pool_of_five(upstream_server)
    account = Account(upstream_server, environ)
    with child("gateway", environ) as (_, first_url), child("gateway", environ) as (_, second_url):
        first, second = Gateway(first_url), Gateway(second_url)
        for number in range(6):
            begun = whole(first, directive(text=f"Answer {number}"))
            gone_on = whole(second, "Say more", previous_response_id=begun["id"])
            third = whole(first, "Say it all", previous_response_id=gone_on["id"])
            assert [text_of(told) for told in (begun, gone_on, third)] == [f"Answer {number}", "More", "It all"]
        first.close()
        second.close()
    turns = account.turns()
    triples = [turns[place : place + 3] for place in range(0, len(turns), 3)]
    for opened, followed, ended in triples:
        assert opened["account"] == followed["account"] == ended["account"]
        assert "conversation_id" not in opened["body"]
        assert followed["body"]["conversation_id"] == ended["body"]["conversation_id"]
        assert len(followed["body"]["messages"]) == 1
    assert len({opened["account"] for opened, _, _ in triples}) > 1, "six questions all fell to one account of five"
    assert len({followed["body"]["conversation_id"] for _, followed, _ in triples}) == 6


def test_a_chat_is_continued_by_another_instance(upstream_server: Upstream) -> None:
    environ = pool_of_five(upstream_server)
    account = Account(upstream_server, environ)
    with running_gateway(environ) as first, running_gateway(environ) as second:
        for number in range(6):
            begun = first.chat(f"Say {number}", store=True).json()
            assert begun["conversation_id"].startswith("conv_")
            named = {"conversation_id": begun["conversation_id"], "parent_message_id": begun["message_id"]}
            assert second.chat("Say more", store=True, **named).status_code == 200
    turns = account.turns()
    for opened, followed in zip(turns[::2], turns[1::2], strict=True):
        assert opened["account"] == followed["account"]
    assert len({call["account"] for call in turns}) > 1


def test_a_raw_conversation_id_is_accepted(gateway: Gateway, account: Account) -> None:
    whole(gateway, "Say hello")
    conversation_id = kept_conversations(account)[0]
    begun = account.tree(conversation_id)
    named = {"conversation_id": conversation_id, "parent_message_id": begun["current_node"]}
    assert gateway.chat("Say more", store=True, **named).status_code == 200
    assert account.bodies()[-1]["conversation_id"] == conversation_id


def kept_conversations(account: Account) -> list[str]:
    headers = {"Authorization": f"Bearer {account.token}"}
    listed = httpx.get(f"{account.upstream.url}/backend-api/conversations", headers=headers, trust_env=False).json()
    return [item["id"] for item in listed["items"]]


@pytest.mark.parametrize("tool", ["python", "search"])
def test_a_follow_up_hangs_on_the_last_message_of_the_turn(tool: str, gateway: Gateway, account: Account) -> None:
    begun = whole(gateway, directive(text="Looked up.", tool_message=tool, reasoning="Looking."))
    whole(gateway, "Say more", previous_response_id=begun["id"])
    asked = account.bodies()[-1]
    tree = account.tree(asked["conversation_id"])
    parent = tree["mapping"][asked["parent_message_id"]]
    assert parent["message"]["author"]["role"] == "assistant"
    assert parent["message"]["end_turn"] is True
    assert parent["children"] == [asked["messages"][0]["id"]]


def test_an_older_response_is_continued_from_where_it_was(gateway: Gateway, account: Account) -> None:
    begun = whole(gateway, "Say one")
    whole(gateway, "Say two", previous_response_id=begun["id"])
    whole(gateway, "Say two again", previous_response_id=begun["id"])
    _, second, third = account.bodies()
    assert second["parent_message_id"] == third["parent_message_id"]
    assert second["conversation_id"] == third["conversation_id"]


def test_a_reference_to_an_item_goes_on_with_its_conversation(upstream_server: Upstream) -> None:
    environ = pool_of_five(upstream_server)
    account = Account(upstream_server, environ)
    with running_gateway(environ) as first, running_gateway(environ) as second:
        begun = whole(first, "Say one")
        asked = [{"role": "user", "content": "Say one"}, {"type": "item_reference", "id": begun["output"][0]["id"]}]
        assert text_of(whole(second, [*asked, {"role": "user", "content": "Say two"}])) == "Two"
    opened, followed = account.turns()
    assert opened["account"] == followed["account"]
    assert "conversation_id" in followed["body"]
    assert [message["content"]["parts"] for message in followed["body"]["messages"]] == [["Say two"]]


def test_a_reference_to_an_item_of_a_temporary_turn_is_refused(gateway: Gateway) -> None:
    begun = whole(gateway, "Say one", store=False)
    answer = post(
        gateway, [{"type": "item_reference", "id": begun["output"][0]["id"]}, {"role": "user", "content": "x"}]
    )
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "input[0].id"


# What is refused.


class Refused(Struct, frozen=True):
    """An id that cannot be continued. `later_s` is when it is used, `key` who comes with it, `says` the reason."""

    id: str
    says: str
    tampered: bool = False
    later_s: int = 0
    key: str = KEY
    store: bool = True


REFUSED = [
    Refused("an id that was tampered with", "it is not an id of this gateway", tampered=True),
    Refused("an id that has expired", "it has expired", later_s=LIFETIME_S + 1),
    Refused("another caller's id", "it was given to another caller", key=OTHER_KEY),
    Refused("a temporary turn's id", "its turn was temporary, so nothing was kept", store=False),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_an_id_is_refused(case: Refused, account: Account) -> None:
    now = [1_790_000_000.0]
    settings = Settings.from_env(account.environ | {"AUTH_TOKENS": f"{KEY},{OTHER_KEY}"})
    with serving(create_app(settings, build_gateway(settings, clock=lambda: now[0]))) as url:
        gateway = Gateway(url)
        identity = whole(gateway, store=case.store)["id"]
        assert post(gateway, previous_response_id=identity).status_code == (200 if case.store else 400)
        asked = len(account.turns())
        now[0] += case.later_s
        identity = tampered(identity) if case.tampered else identity
        headers = {"Authorization": f"Bearer {case.key}"}
        answer = post(gateway, headers=headers, previous_response_id=identity)
        looked_up = gateway.web.get(f"/v1/responses/{identity}", headers=headers)
        gateway.close()
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (400, "previous_response_not_found")
    assert (error["type"], error["param"]) == ("invalid_request_error", "previous_response_id")
    assert error["message"].endswith(case.says)
    assert len(account.turns()) == asked, "the upstream was asked for what was refused"
    assert looked_up.status_code == 404
    assert case.says.partition(",")[0] in error_of(looked_up)["message"]


def tampered(identity: str) -> str:
    data = bytearray(base64.urlsafe_b64decode(identity.removeprefix("resp_") + "=="))
    data[20] ^= 1
    return "resp_" + base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")


def test_an_account_that_is_gone_is_a_conflict(account: Account, gateway: Gateway, upstream_server: Upstream) -> None:
    identity = whole(gateway)["id"]
    with running_gateway(upstream_server.environ()) as without:
        answers = [
            post(without, previous_response_id=identity),
            post(without, previous_response_id=identity, stream=True),
            without.web.get(f"/v1/responses/{identity}"),
            without.web.delete(f"/v1/responses/{identity}"),
        ]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert [error_of(answer)["code"] for answer in answers] == ["account_unavailable"] * 4


def test_a_callers_own_account_keeps_what_is_theirs(account: Account, gateway: Gateway) -> None:
    own = {"Authorization": f"Bearer {KEY} {account.token}-own"}
    identity = post(gateway, headers=own).json()["id"]
    assert post(gateway, "Say more", headers=own, previous_response_id=identity).status_code == 200
    answer = post(gateway, "Say more", previous_response_id=identity)
    assert error_of(answer)["message"].endswith("it was given to another caller")


def test_instances_with_another_signing_key_do_not_read_it(account: Account, gateway: Gateway) -> None:
    identity = whole(gateway)["id"]
    with running_gateway(account.environ, SIGNING_KEY="a-key-that-the-first-has-not") as other:
        answer = post(other, previous_response_id=identity)
    assert error_of(answer)["code"] == "previous_response_not_found"


# What is kept.


class History(Struct, frozen=True):
    """`setting` is ENABLE_HISTORY, `stores` the request's own wish in every form, with what becomes of each."""

    setting: str
    chat: dict[bool | None, bool]
    responses: dict[bool | None, bool]


HISTORY = [
    History("", chat={None: False, True: True, False: False}, responses={None: True, True: True, False: False}),
    History("true", chat={None: True, True: True, False: True}, responses={None: True, True: True, False: True}),
    History("false", chat={None: False, True: False, False: False}, responses={None: False, True: False, False: False}),
]


@pytest.mark.parametrize("case", HISTORY, ids=lambda case: f"ENABLE_HISTORY={case.setting}")
def test_what_is_kept(case: History, account: Account) -> None:
    with running_gateway(account.environ, ENABLE_HISTORY=case.setting) as gateway:
        for store, kept in case.chat.items():
            answered = gateway.chat(**wish(store)).json()
            assert account.bodies()[-1]["history_and_training_disabled"] is not kept
            assert answered["conversation_id"].startswith("conv_")
        for store, kept in case.responses.items():
            response = whole(gateway, **wish(store))
            assert account.bodies()[-1]["history_and_training_disabled"] is not kept
            assert response["store"] is kept
            assert (post(gateway, previous_response_id=response["id"]).status_code == 200) is kept


def wish(store: bool | None) -> dict[str, Any]:
    return {} if store is None else {"store": store}


# What can be asked about a kept response.


def test_a_kept_response_is_read_again(gateway: Gateway) -> None:
    begun = whole(gateway, directive(text="Sources say so.", tool_message="search", reasoning="Hm."))
    found = gateway.web.get(f"/v1/responses/{begun['id']}").json()
    assert (found["id"], found["object"], found["status"]) == (begun["id"], "response", "completed")
    assert found["created_at"] == begun["created_at"]
    assert found["store"] is True
    message, again = (told["output"][-1]["content"][0] for told in (begun, found))
    assert again == message
    assert len(again["annotations"]) == 2


def test_a_response_in_the_middle_is_read_as_it_was(gateway: Gateway) -> None:
    begun = whole(gateway, "Say one")
    followed = whole(gateway, "Say two", previous_response_id=begun["id"])
    found = [gateway.web.get(f"/v1/responses/{told['id']}").json() for told in (begun, followed)]
    assert [text_of(told) for told in found] == ["One", "Two"]


def test_its_input_items_are_listed(gateway: Gateway) -> None:
    begun = whole(gateway, "Say one")
    followed = whole(gateway, "Say two", previous_response_id=begun["id"])
    listed = gateway.web.get(f"/v1/responses/{followed['id']}/input_items").json()
    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert [item["content"] for item in listed["data"]] == [[{"type": "input_text", "text": "Say two"}]]
    assert listed["first_id"] == listed["last_id"] == listed["data"][0]["id"]


class Page(Struct, frozen=True):
    """What is asked of three input items, and their words. `after` is a place in the list, the newest first."""

    id: str
    query: Json
    expected: list[str]
    more: bool = False
    after: int | None = None


PAGES = [
    Page("no wish", {}, ["c", "b", "a"]),
    Page("the oldest first", {"order": "asc"}, ["a", "b", "c"]),
    Page("a first page", {"limit": 2}, ["c", "b"], more=True),
    Page("a page of all", {"limit": 3}, ["c", "b", "a"]),
    Page("a second page", {"limit": 2}, ["a"], after=1),
    Page("what follows, the oldest first", {"order": "asc", "limit": 1}, ["b"], more=True, after=2),
    Page("what follows the last", {}, [], after=2),
]


@pytest.fixture(scope="module")
def three_items(upstream_server: Upstream) -> Iterator[tuple[Gateway, str]]:
    """A kept response to three messages: a gateway, and the path of its items."""
    with running_gateway(upstream_server.environ()) as gateway:
        begun = whole(gateway, [{"role": "user", "content": text} for text in "abc"])
        yield gateway, f"/v1/responses/{begun['id']}/input_items"


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case.id)
def test_its_input_items_come_in_pages(case: Page, three_items: tuple[Gateway, str]) -> None:
    gateway, path = three_items
    everything = gateway.web.get(path).json()["data"]
    after = {} if case.after is None else {"after": everything[case.after]["id"]}
    page = gateway.web.get(path, params={**case.query, **after}).json()
    assert [item["content"][0]["text"] for item in page["data"]] == case.expected
    assert page["has_more"] is case.more
    assert page["last_id"] == (page["data"][-1]["id"] if case.expected else None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("order", "newest"), ("limit", "0"), ("limit", "101"), ("limit", ""), ("after", "msg_of_nobody")],
)
def test_a_wish_about_pages_that_cannot_be_heeded_is_refused(
    name: str, value: str, three_items: tuple[Gateway, str]
) -> None:
    gateway, path = three_items
    answer = gateway.web.get(path, params={name: value})
    assert (answer.status_code, error_of(answer)["param"]) == (400, name)


def test_a_kept_response_is_not_streamed_again(three_items: tuple[Gateway, str]) -> None:
    gateway, path = three_items
    answer = gateway.web.get(path.removesuffix("/input_items"), params={"stream": "true"})
    assert (answer.status_code, error_of(answer)["param"]) == (400, "stream")
    assert gateway.web.get(path.removesuffix("/input_items"), params={"stream": "false"}).status_code == 200


def test_a_removed_response_is_gone(gateway: Gateway, account: Account) -> None:
    begun = whole(gateway, "Say one")
    path = f"/v1/responses/{begun['id']}"
    assert gateway.web.delete(path).json() == {"id": begun["id"], "object": "response", "deleted": True}
    assert kept_conversations(account) == []
    for answer in (gateway.web.get(path), gateway.web.get(f"{path}/input_items"), gateway.web.delete(path)):
        assert answer.status_code == 404
        assert "no longer kept" in error_of(answer)["message"]
    followed = post(gateway, "Say two", previous_response_id=begun["id"])
    assert followed.status_code == 404
    assert "no longer kept" in error_of(followed)["message"]
    assert error_of(followed)["param"] == "previous_response_id"


def repaired(stream: bool) -> str:
    """Return a prompt, one for each way, whose first answer is a call of no use, which must be written again."""
    call = '<{{tag}} name="NAME">{"city":"Lisbon"}</{{tag}}>'
    said = f"One. Two. {stream}. " + call.replace("NAME", "nope")
    attempts = [{"text": said, "cut_after_chars": 200}, {"text": call.replace("NAME", "weather")}]
    return directive(attempts=attempts)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_of_two_attempts_leaves_one_conversation(stream: bool, gateway: Gateway, account: Account) -> None:
    tools = [{"type": "function", "name": "weather"}]
    if stream:
        events = streamed(gateway, repaired(stream), tools=tools)
        assert len({event["response"]["id"] for event in events if "response" in event}) == 1
        answered = events[-1]["response"]
    else:
        answered = whole(gateway, repaired(stream), tools=tools)
    assert [item["type"] for item in answered["output"]] == ["message", "function_call"]
    assert len(account.turns()) == 2
    assert len(kept_conversations(account)) == 1
    gateway.web.delete(f"/v1/responses/{answered['id']}").raise_for_status()
    assert kept_conversations(account) == []


def test_nothing_can_be_cancelled(gateway: Gateway) -> None:
    for store in (True, False):
        answer = gateway.web.post(f"/v1/responses/{whole(gateway, store=store)['id']}/cancel")
        assert answer.status_code == 400
        assert "background" in error_of(answer)["message"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_temporary_response_is_not_found_and_says_why(method: str, gateway: Gateway) -> None:
    identity = whole(gateway, store=False)["id"]
    answer = gateway.web.request(method, f"/v1/responses/{identity}")
    assert answer.status_code == 404
    assert error_of(answer)["message"].endswith("its turn was temporary")


@pytest.mark.parametrize("path", ["", "/input_items", "/cancel"])
def test_an_unknown_response_is_not_found(path: str, gateway: Gateway) -> None:
    answer = gateway.web.request("POST" if path == "/cancel" else "GET", f"/v1/responses/resp_unknown{path}")
    assert answer.status_code == 404
    assert error_of(answer)["param"] == "id"


# Compaction.


def test_a_history_is_compacted_and_stands_in_a_later_input(gateway: Gateway, account: Account) -> None:
    history = [
        {"role": "user", "content": directive(text="Herons were counted.")},
        {"role": "user", "content": "Go on"},
    ]
    compacted = gateway.web.post("/v1/responses/compact", json={"model": "auto", "input": history}).json()
    assert compacted["object"] == "response.compaction"
    (item,) = compacted["output"]
    assert (item["type"], item["id"][:4]) == ("compaction", "cmp_")
    assert account.bodies()[-1]["history_and_training_disabled"] is True
    assert text_of(whole(gateway, [item, {"role": "user", "content": "Say on"}])) == "On"
    texts = ["".join(message["content"]["parts"]) for message in account.bodies()[-1]["messages"]]
    assert any("Herons were counted." in text for text in texts)


def test_nothing_is_kept_for_an_anonymous_device() -> None:
    device = {"Authorization": "Bearer 6f1c2f0e-6f0b-4f0a-9d4e-0a1b2c3d4e5f"}
    with running_gateway(ENABLE_EXTERNAL_TOKEN="true") as gateway:
        body = {"model": "auto", "input": "Say hello"}
        url = f"{gateway.url}/v1/responses"
        answer = httpx.post(url, headers=device, json=body, trust_env=False)
        assert (answer.status_code, answer.json()["store"]) == (200, False)
        again = httpx.get(f"{url}/{answer.json()['id']}", headers=device, trust_env=False)
        assert again.status_code == 404
        assert "its turn was temporary" in error_of(again)["message"]
