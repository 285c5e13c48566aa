"""Speech, transcription and pictures of a vendor that has OpenAI's calls, by the official SDK over two sockets."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI

from core.loopback.pictures import png
from tests.api.servers import (
    KEY,
    Gateway,
    Upstream,
    data_frames,
    directive,
    error_of,
    running_gateway,
    running_upstream,
)

VENDOR_KEY = "loopback-vendor-key-4c1"
MODEL = "acme/loopback-large"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: Upstream) -> Iterator[Gateway]:
    vendors = [
        {"name": "acme", "kind": "openai", "base_url": f"{upstream.url}/v1", "key": VENDOR_KEY},
        {"name": "claude", "kind": "anthropic", "base_url": upstream.url, "key": VENDOR_KEY},
    ]
    with running_gateway(upstream.environ(UPSTREAMS=json.dumps(vendors))) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def asked(upstream: Upstream) -> Any:
    """Return what the vendor was last asked on a path."""

    def last(path: str) -> Any:
        return [call for call in upstream.log() if call["path"] == path][-1]["body"]

    return last


def test_a_vendor_reads_aloud(client: OpenAI, asked: Any) -> None:
    sound = client.audio.speech.create(model=MODEL, voice="verse", input="Hello", speed=1.5, response_format="opus")
    assert sound.response.headers["content-type"] == "audio/ogg"
    assert sound.content[:4] == b"OggS"
    assert asked("/v1/audio/speech") == {
        "model": "loopback-large",
        "input": "Hello",
        "voice": "verse",
        "response_format": "opus",
        "speed": 1.5,
    }


def test_speech_may_come_as_events(gateway: Gateway) -> None:
    body = {"model": MODEL, "voice": "v", "input": "Hello", "stream_format": "sse"}
    frames = data_frames(gateway.web.post("/v1/audio/speech", json=body).text)
    sound = b"".join(base64.b64decode(frame["audio"]) for frame in frames[:-1])
    assert (sound[:2], frames[-1]["type"]) == (b"\xff\xfb", "speech.audio.done")


def test_speech_that_a_vendor_refuses_is_refused(gateway: Gateway) -> None:
    body = {"model": MODEL, "voice": "v", "input": directive(status=429, headers={"retry-after": "7"})}
    answer = gateway.web.post("/v1/audio/speech", json=body)
    assert (answer.status_code, error_of(answer)["type"], answer.headers["retry-after"]) == (
        429,
        "rate_limit_error",
        "7",
    )


def test_speech_that_breaks_off_is_visibly_cut(gateway: Gateway) -> None:
    body = {"model": MODEL, "voice": "v", "input": directive(speech={"cut_after_bytes": 2000})}
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.web.post("/v1/audio/speech", json=body)


def test_a_vendor_writes_down_a_recording(client: OpenAI, asked: Any) -> None:
    heard = client.audio.transcriptions.create(
        model=MODEL, file=("a.wav", b"Ola", "audio/wav"), language="pt", prompt="names", temperature=0.5
    )
    assert heard.text == "Ola"
    assert asked("/v1/audio/transcriptions") == {
        "file": "a.wav",
        "media_type": "audio/wav",
        "model": "loopback-large",
        "response_format": "json",
        "language": "pt",
        "prompt": "names",
        "temperature": "0.5",
    }


def test_a_vendor_translates_by_itself(gateway: Gateway) -> None:
    files = {"file": ("a.wav", b"Ola")}
    answer = gateway.web.post("/v1/audio/translations", data={"model": MODEL}, files=files)
    assert answer.json() == {"text": "In English: Ola"}


def test_usual_names_stay_with_chatgpt_while_it_has_accounts(client: OpenAI, upstream: Upstream) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"Ola"))
    assert upstream.log()[-1]["path"] == "/backend-api/transcribe"


def test_a_vendor_draws(client: OpenAI, asked: Any) -> None:
    made = client.images.generate(model=MODEL, prompt="a cat", n=2, extra_body={"vendor_field": 1})
    assert [base64.b64decode(picture.b64_json or "")[:4] for picture in made.data or ()] == [b"\x89PNG"] * 2
    assert made.usage is not None
    assert asked("/v1/images/generations") == {"model": "loopback-large", "prompt": "a cat", "n": 2, "vendor_field": 1}


@pytest.mark.parametrize("previews", [0, 1])
def test_a_vendors_pictures_may_be_streamed(gateway: Gateway, previews: int) -> None:
    body = {"model": MODEL, "prompt": "a cat", "stream": True, **({"partial_images": previews} if previews else {})}
    frames = data_frames(gateway.web.post("/v1/images/generations", json=body).text)
    partial = ["image_generation.partial_image"] * previews
    assert [frame["type"] for frame in frames] == [*partial, "image_generation.completed"]


def test_a_vendor_has_no_events_but_its_own(gateway: Gateway) -> None:
    body = {"model": MODEL, "prompt": "a cat", "stream": True}
    answer = gateway.web.post("/v1/images/generations?events=aurora", json=body)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "model")


def test_a_stream_of_pictures_that_breaks_off_ends_in_an_error(gateway: Gateway) -> None:
    body = {"model": MODEL, "prompt": directive(cut_after_chars=0), "stream": True, "partial_images": 1}
    frames = data_frames(gateway.web.post("/v1/images/generations", json=body).text)
    assert [frame["type"] for frame in frames] == ["image_generation.partial_image", "error"]


@pytest.mark.parametrize("call", ["edits", "variations"])
def test_a_form_passes_with_the_vendors_name_of_the_model(gateway: Gateway, asked: Any, call: str) -> None:
    fields = {"prompt": "a hat", "model": MODEL, "size": "64x64"}
    files = {"image": ("a.png", png("a cat"), "image/png")}
    made = gateway.web.post(f"/v1/images/{call}", data=fields, files=files)
    assert base64.b64decode(made.json()["data"][0]["b64_json"])[:4] == b"\x89PNG"
    assert asked(f"/v1/images/{call}") == {**fields, "model": "loopback-large", "files": ["image"]}


def test_the_sdk_edits_with_a_vendor(client: OpenAI) -> None:
    made = client.images.edit(model=MODEL, image=("a.png", png("a cat"), "image/png"), prompt="a hat")
    assert made.data is not None
    assert base64.b64decode(made.data[0].b64_json or "")[:4] == b"\x89PNG"


def test_a_vendors_refusal_of_a_picture_keeps_its_status(client: OpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        client.images.generate(model=MODEL, prompt=directive(status=404))
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/audio/speech", {"voice": "v", "input": "Hello"}),
        ("/v1/images/generations", {"prompt": "a cat"}),
        ("/v1/images/generations", {"prompt": "a cat", "stream": True}),
    ],
    ids=["speech", "picture", "stream of pictures"],
)
def test_a_vendor_without_the_service_is_named(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    answer = gateway.web.post(path, json={"model": "claude/x", **body})
    assert answer.status_code == 400
    assert "claude" in error_of(answer)["message"]


@pytest.mark.parametrize("model", ["tts-1", "acme/tts-1"])
def test_without_accounts_the_first_vendor_serves_the_usual_names(upstream: Upstream, model: str) -> None:
    vendor = {"name": "acme", "kind": "openai", "base_url": f"{upstream.url}/v1", "key": VENDOR_KEY}
    with running_gateway({"AUTH_TOKENS": KEY, "UPSTREAMS": json.dumps([vendor])}) as gateway:
        body = {"model": model, "voice": "v", "input": "Hello"}
        assert gateway.web.post("/v1/audio/speech", json=body).content[:2] == b"\xff\xfb"
    assert upstream.log()[-1]["body"]["model"] == "tts-1"
