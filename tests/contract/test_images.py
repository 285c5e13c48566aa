"""The official OpenAI SDK makes pictures: whole, streamed, edited, varied, linked to, in chat and in Responses."""

import base64
from typing import Any

import httpx
import openai
import pytest
from msgspec import Struct
from openai import AsyncOpenAI, OpenAI
from openai.types import Image, ImagesResponse

from core.media import image_size, sniff
from core.wire.openai_images.requests import VARIATION_PROMPT
from tests.api.servers import PROMPT_MARK, Gateway, Upstream, data_frames, directive, error_of, running_gateway
from tests.media_samples import as_base64, as_data_url, png

Json = dict[str, Any]

PNG, OTHER = png(2, 3), png(4, 4)
DRAWING = f"A heron {PROMPT_MARK}"
SIDE = (64, 64)
"""The size of what the simulated upstream draws."""


def drawn(text: str | None) -> bytes:
    """Return a picture from its base64, having checked that it is one."""
    data = base64.b64decode(text or "", validate=True)
    assert (sniff(data), image_size(data)) == ("image/png", SIDE)
    return data


def only(answer: ImagesResponse) -> Image:
    (item,) = answer.data or []
    return item


class Newest:
    """The turns that reach the upstream from here on; other tests' turns stand before them."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._before = max((call["sequence"] for call in upstream.log()), default=0)

    def messages(self) -> list[Json]:
        """Return the last message of each."""
        turns = (call for call in self._upstream.turns() if call["sequence"] > self._before)
        return [call["body"]["messages"][-1] for call in turns]

    def shown(self) -> list[int]:
        """Return how many pictures each shows."""
        return [len((message.get("metadata") or {}).get("attachments", ())) for message in self.messages()]


@pytest.fixture
def newest(upstream_server: Upstream) -> Newest:
    return Newest(upstream_server)


# Whole answers.


@pytest.mark.parametrize("model", ["gpt-image-2", "dall-e-3", "gpt-5"])
def test_generate(client: OpenAI, model: str) -> None:
    answer = client.images.generate(model=model, prompt=DRAWING)
    drawn(only(answer).b64_json)
    assert (answer.size, answer.output_format, answer.usage) == ("64x64", "png", None)
    assert DRAWING in (only(answer).revised_prompt or "")


def test_several_pictures(client: OpenAI) -> None:
    answer = client.images.generate(model="gpt-image-2", prompt=DRAWING, n=3)
    assert len([drawn(item.b64_json) for item in answer.data or ()]) == 3


def test_what_cannot_be_heeded_is_named(client: OpenAI) -> None:
    raw = client.images.with_raw_response.generate(
        prompt=DRAWING, model="dall-e-3", quality="hd", size="1024x1792", style="vivid", user="u-1", moderation="low"
    )
    assert sorted(raw.headers["x-isthmus-ignored-params"].split(", ")) == ["moderation", "quality", "user"]


def test_a_link_can_be_read_by_whoever_has_it(client: OpenAI) -> None:
    answer = client.images.generate(model="dall-e-3", prompt=DRAWING, response_format="url")
    item = only(answer)
    assert item.b64_json is None
    fetched = httpx.get(item.url or "", trust_env=False)
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "image/png")
    drawn(as_base64(fetched.content))
    assert httpx.get((item.url or "").replace("link_", "link_A"), trust_env=False).status_code in (401, 404)


def test_an_edit_of_several_pictures(client: OpenAI, newest: Newest) -> None:
    answer = client.images.edit(model="gpt-image-2", image=[PNG, OTHER], prompt=DRAWING, mask=png(2, 3, (9, 9, 9)))
    drawn(only(answer).b64_json)
    assert newest.shown() == [3]


def test_a_variation(client: OpenAI, newest: Newest) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = client.images.create_variation(image=PNG, n=1)
    drawn(only(answer).b64_json)
    (message,) = newest.messages()
    assert VARIATION_PROMPT in message["content"]["parts"]


@pytest.mark.anyio
async def test_the_asynchronous_client(async_client: AsyncOpenAI) -> None:
    answer = await async_client.images.edit(model="gpt-image-2", image=PNG, prompt=DRAWING, n=2)
    assert len([drawn(item.b64_json) for item in answer.data or ()]) == 2


# Streams.


def test_a_stream_with_previews(client: OpenAI) -> None:
    prompt = directive(image={"previews": 2})
    stream = client.images.generate(model="gpt-image-2", prompt=prompt, stream=True, partial_images=2)
    *previews, last = stream
    assert [event.type for event in previews] == ["image_generation.partial_image"] * 2
    assert all(base64.b64decode(event.b64_json) for event in previews)
    assert (last.type, last.size, last.output_format) == ("image_generation.completed", "64x64", "png")
    drawn(last.b64_json)


def test_a_streamed_edit(client: OpenAI) -> None:
    stream = client.images.edit(model="gpt-image-2", image=PNG, prompt=DRAWING, stream=True)
    (event,) = stream
    assert event.type == "image_edit.completed"
    drawn(event.b64_json)


@pytest.mark.anyio
async def test_an_asynchronous_stream_of_several(async_client: AsyncOpenAI) -> None:
    stream = await async_client.images.generate(model="gpt-image-2", prompt=DRAWING, n=2, stream=True)
    assert [event.type async for event in stream] == ["image_generation.completed"] * 2


# Failures.


REFUSED = directive(image={"refuse": "I can't draw that."})


def test_a_refusal_is_an_error_in_its_own_words(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="I can't draw that") as caught:
        client.images.generate(model="gpt-image-2", prompt=REFUSED)
    assert caught.value.code == "image_generation_error"


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-5"], ids=["OpenAI's events", "Aurora's events"])
def test_a_refusal_within_a_stream(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.APIError, match="I can't draw that"):
        list(client.images.generate(model=model, prompt=REFUSED, stream=True))


def test_too_many_at_once(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="gpt-image-2", prompt=DRAWING, n=11)
    assert caught.value.param == "n"


# As the seeds' users send it.


class Sent(Struct, frozen=True):
    """What goes to `/v1/images/edits`, as httpx takes it, and how many pictures the model is shown."""

    id: str
    request: Json
    shown: int = 1


def file(name: str, data: bytes = PNG) -> tuple[str, tuple[str, bytes, str]]:
    return name, ("cat.png", data, "image/png")


SENT = [
    Sent(
        "JR-12",
        {
            "data": {"prompt": DRAWING, "model": "dall-e-2", "n": "1", "size": "1024x1024", "user": "u"},
            "files": [file("image"), file("mask", OTHER)],
        },
        2,
    ),
    Sent("Open WebUI's image[]", {"data": {"prompt": DRAWING}, "files": [file("image[]"), file("image[]", OTHER)]}, 2),
    Sent("images and images[]", {"data": {"prompt": DRAWING}, "files": [file("images"), file("images[]", OTHER)]}, 2),
    Sent("image_url in a form", {"data": {"prompt": DRAWING, "image_url": as_data_url(PNG)}, "files": [file("x")]}),
    Sent("no prompt", {"data": {"n": "2"}, "files": [file("image")]}),
    Sent("JSON with image_url", {"json": {"prompt": DRAWING, "image_url": {"url": as_data_url(PNG)}}}),
    Sent(
        "JSON with bare base64",
        {"json": {"prompt": DRAWING, "images": [as_base64(PNG), {"base64": as_base64(OTHER)}]}},
        2,
    ),
    Sent(
        "JSON in the style of Responses",
        {
            "json": {
                "model": "gpt-image-2",
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": DRAWING},
                            {"type": "input_image", "image_url": as_data_url(PNG)},
                            {"type": "input_image", "image_url": as_data_url(OTHER)},
                        ],
                    }
                ],
            }
        },
        2,
    ),
]


@pytest.mark.parametrize("case", SENT, ids=lambda case: case.id)
def test_an_edit_in_the_seeds_form(case: Sent, socket_gateway: Gateway, newest: Newest) -> None:
    answer = socket_gateway.web.post("/v1/images/edits", **case.request)
    assert answer.status_code == 200, answer.text
    for item in answer.json()["data"]:
        drawn(item["b64_json"])
    assert set(newest.shown()) == {case.shown}


STREAMS = [
    ("the query", "?stream=true", {"json": {"prompt": DRAWING, "image": as_data_url(PNG)}}),
    (
        "the body",
        "",
        {"json": {"prompt": DRAWING, "image": as_data_url(PNG), "stream": True, "response_format": "url"}},
    ),
    ("a form field", "", {"data": {"stream": "true", "model": "gpt-5"}, "files": [file("image")]}),
]


@pytest.mark.parametrize(("path", "request_"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])
def test_auroras_events_are_asked_for_by(path: str, request_: Json, socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post(f"/v1/images/edits{path}", **request_)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, last = data_frames(answer.text)
    assert last == "[DONE]"
    assert [event["object"].rpartition(".")[2] for event in events] == ["chunk", "result", "completed"]
    assert events[1]["data"] == events[2]["data"]


def test_a_picture_at_an_address_inside_is_refused(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post("/v1/images/edits", json={"prompt": "x", "images": ["http://127.0.0.1/a.png"]})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "images[0]"


def test_a_body_that_is_too_large(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post("/v1/images/edits", content=b"x" * (11 << 20))
    assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("n", [1, 3])
def test_anonymous_callers_have_no_pictures(n: int, upstream_server: Upstream) -> None:
    device = {"Authorization": "Bearer 3f0a5b52-6a3e-4c46-9f0e-2d1f3d1f7c11"}
    with running_gateway(upstream_server.environ(ENABLE_EXTERNAL_TOKEN="true")) as gateway:
        answer = gateway.web.post("/v1/images/generations", json={"prompt": "x", "n": n}, headers=device)
    assert answer.status_code == 403
    assert error_of(answer)["message"] == "Image generation requires a logged-in ChatGPT account."


# Chat and Responses.


def test_a_picture_in_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": DRAWING}],
        extra_body={"function_image_gen": True},
    )
    message = answer.choices[0].message
    (image,) = (message.model_extra or {})["images"]
    data = drawn(image["image_url"]["url"].removeprefix("data:image/png;base64,"))
    link = (message.content or "").removeprefix("![image](").removesuffix(")")
    assert httpx.get(link, trust_env=False).content == data


def test_a_picture_in_a_stream_of_chat(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="auto",
        messages=[{"role": "user", "content": DRAWING}],
        extra_body={"function_image_gen": True},
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    (image,) = (message.model_extra or {})["images"]
    drawn(image["image_url"]["url"].removeprefix("data:image/png;base64,"))


def test_a_picture_in_responses(client: OpenAI) -> None:
    answer = client.responses.create(
        model="auto", input=DRAWING, tools=[{"type": "image_generation", "size": "1024x1024"}]
    )
    (call,) = (item for item in answer.output if item.type == "image_generation_call")
    assert (call.status, call.size, call.output_format) == ("completed", "64x64", "png")
    drawn(call.result)


def test_a_picture_in_a_stream_of_responses_and_what_follows(client: OpenAI, upstream_server: Upstream) -> None:
    prompt = directive(image={"previews": 1}, text="There it is.")
    with client.responses.stream(
        model="auto", input=prompt, tools=[{"type": "image_generation", "partial_images": 1}], store=False
    ) as stream:
        kinds = [event.type.removeprefix("response.image_generation_call.") for event in stream]
        answer = stream.get_final_response()
    assert [kind for kind in kinds if "." not in kind] == ["in_progress", "generating", "partial_image", "completed"]
    (call,) = (item for item in answer.output if item.type == "image_generation_call")
    drawn(call.result)
    history: Any = [{"role": "user", "content": "Draw"}, call.to_dict(), {"role": "user", "content": "What is on it?"}]
    client.responses.create(model="auto", input=history, store=False)
    shown = [message for message in upstream_server.turns()[-1]["body"]["messages"] if message.get("metadata")]
    assert [len(message["metadata"]["attachments"]) for message in shown] == [1]
