"""Every form in which clients ask for pictures, as JSON and as a form; and what is refused, with its field."""

import json
import sys
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.errors import GatewayError, InvalidRequest
from core.request import ChatRequest, Hints, Image, ImageOptions, Text
from core.wire.openai_images import OPENAI_IMAGE_EDITS, OPENAI_IMAGE_GENERATIONS, OPENAI_IMAGE_VARIATIONS
from core.wire.openai_images.requests import DEFAULT_MODEL, MAX_IMAGES, VARIATION_PROMPT, style_of
from tests.media_samples import as_base64, as_data_url, png

Json = dict[str, Any]

PNG, OTHER = png(2, 3), png(4, 4)
DATA, OTHER_DATA = as_data_url(PNG), as_data_url(OTHER)
URL, OTHER_URL = "https://example.com/character.png", "http://example.com/scene.png"
JSON = "application/json"


def parse(body: Json, dialect: Any = OPENAI_IMAGE_EDITS) -> ChatRequest:
    request: ChatRequest = dialect.parse_request(json.dumps(body).encode(), JSON)
    return request


def parse_form(
    fields: Json, files: list[tuple[str, bytes]] | None = None, dialect: Any = OPENAI_IMAGE_EDITS
) -> ChatRequest:
    """Parse what a client sends that was given these fields and files."""
    parts: list[Any] = [(name, (f"{name}.png", data, "image/png")) for name, data in files or ()]
    parts += [
        (name, (None, str(one)))
        for name, value in fields.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    sent = httpx.Request("POST", "http://gateway", files=parts)
    request: ChatRequest = dialect.parse_request(sent.read(), sent.headers["content-type"])
    return request


def shown(request: ChatRequest) -> list[tuple[str | None, str]]:
    """Return where each picture is, and which field said so."""
    (message,) = request.messages
    return [(part.url or part.file_id, part.where) for part in message.parts if isinstance(part, Image)]


def prompt(request: ChatRequest) -> str:
    last = request.messages[-1].parts[-1]
    assert isinstance(last, Text)
    return last.text


class Source(Struct, frozen=True):
    """A JSON body besides its prompt, and the pictures it shows."""

    id: str
    body: Json
    expected: list[tuple[str, str]]
    prompt: str = "Add a hat"


SOURCES = [
    Source("image_url as a string", {"image_url": URL}, [(URL, "image_url")]),
    Source("image_url as an object", {"image_url": {"url": URL}}, [(URL, "image_url.url")]),
    Source("image_url as a data URL", {"image_url": DATA}, [(DATA, "image_url")]),
    Source("image_url as a list", {"image_url": [URL, DATA]}, [(URL, "image_url[0]"), (DATA, "image_url[1]")]),
    Source("image as a string", {"image": URL}, [(URL, "image")]),
    Source("image as an object", {"image": {"image_url": URL}}, [(URL, "image.image_url")]),
    Source("image as bare base64", {"image": as_base64(PNG)}, [(as_base64(PNG), "image")]),
    Source("image as a list", {"image": [URL, {"url": OTHER_URL}]}, [(URL, "image[0]"), (OTHER_URL, "image[1].url")]),
    Source("images of strings", {"images": [URL, DATA]}, [(URL, "images[0]"), (DATA, "images[1]")]),
    Source("images of objects with url", {"images": [{"url": URL}]}, [(URL, "images[0].url")]),
    Source("images of objects with image_url", {"images": [{"image_url": DATA}]}, [(DATA, "images[0].image_url")]),
    Source(
        "images of objects with an image_url object",
        {"images": [{"type": "image_url", "image_url": {"url": URL}}]},
        [(URL, "images[0].image_url")],
    ),
    Source(
        "images of objects with b64_json",
        {"images": [{"b64_json": as_base64(PNG)}]},
        [(as_base64(PNG), "images[0].b64_json")],
    ),
    Source(
        "images of objects with base64",
        {"images": [{"base64": as_base64(PNG)}]},
        [(as_base64(PNG), "images[0].base64")],
    ),
    Source(
        "images of objects with file_id", {"images": [{"file_id": "file_abc"}]}, [("file_abc", "images[0].file_id")]
    ),
    Source("a file id as a string", {"image": "file-abc"}, [("file-abc", "image")]),
    Source("image[] in JSON", {"image[]": [URL]}, [(URL, "image[][0]")]),
    Source(
        "several fields together",
        {"images": [OTHER_URL], "image": URL, "image_url": DATA},
        [(URL, "image"), (OTHER_URL, "images[0]"), (DATA, "image_url")],
    ),
    Source(
        "Responses' input with messages",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Put the first person into the second scene"},
                        {"type": "input_image", "image_url": URL},
                        {"type": "input_image", "image_url": OTHER_URL},
                    ],
                }
            ]
        },
        [(URL, "input[0].content[1].image_url"), (OTHER_URL, "input[0].content[2].image_url")],
        "Add a hat\nPut the first person into the second scene",
    ),
    Source(
        "content with parts",
        {"content": [{"type": "input_image", "image_url": URL}, {"type": "input_text", "text": "and shoes"}]},
        [(URL, "content[0].image_url")],
        "Add a hat\nand shoes",
    ),
    Source(
        "messages in Chat Completions' spelling",
        {
            "messages": [
                {"role": "system", "content": "Be bold"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]},
                {"role": "user", "content": "and shoes"},
            ]
        },
        [(URL, "messages[1].content[0].image_url")],
        "Add a hat\nBe bold\nand shoes",
    ),
    Source(
        "input as a text beside an image",
        {"input": "and shoes", "image": {"file_id": "file_1"}},
        [("file_1", "image.file_id")],
        "Add a hat\nand shoes",
    ),
    Source(
        "an input_image by file id",
        {"input": [{"type": "input_image", "file_id": "file_1"}]},
        [("file_1", "input[0].file_id")],
    ),
    Source("null beside a picture", {"image": None, "mask": None, "images": [URL], "n": None}, [(URL, "images[0]")]),
]


@pytest.mark.parametrize("case", SOURCES, ids=lambda case: case.id)
def test_a_source_as_json(case: Source) -> None:
    request = parse({"prompt": "Add a hat", **case.body})
    assert shown(request) == case.expected
    assert prompt(request) == case.prompt


class Form(Struct, frozen=True):
    """A form, and the pictures it shows."""

    id: str
    fields: Json
    files: list[tuple[str, bytes]]
    expected: list[tuple[str, str]]


FORMS = [
    Form("image", {}, [("image", PNG)], [(DATA, "image[0]")]),
    Form("image, twice", {}, [("image", PNG), ("image", OTHER)], [(DATA, "image[0]"), (OTHER_DATA, "image[1]")]),
    Form("image[]", {}, [("image[]", PNG), ("image[]", OTHER)], [(DATA, "image[][0]"), (OTHER_DATA, "image[][1]")]),
    Form(
        "image[0], image[1]",
        {},
        [("image[0]", PNG), ("image[1]", OTHER)],
        [(DATA, "image[][0]"), (OTHER_DATA, "image[][1]")],
    ),
    Form("images", {}, [("images", PNG), ("images", OTHER)], [(DATA, "images[0]"), (OTHER_DATA, "images[1]")]),
    Form("images[]", {}, [("images[]", PNG)], [(DATA, "images[][0]")]),
    Form("image_url as a URL", {"image_url": URL}, [], [(URL, "image_url[0]")]),
    Form("image_url as a data URL", {"image_url": DATA}, [], [(DATA, "image_url[0]")]),
    Form("image as a text", {"image": DATA}, [], [(DATA, "image[0]")]),
    Form("files and URLs", {"image_url": URL}, [("image", PNG)], [(DATA, "image[0]"), (URL, "image_url[0]")]),
    Form("a field left alone", {"image_url": "", "n": "", "size": ""}, [("image", PNG)], [(DATA, "image[0]")]),
]


@pytest.mark.parametrize("case", FORMS, ids=lambda case: case.id)
def test_a_source_as_a_form(case: Form) -> None:
    request = parse_form({"prompt": "Add a hat", **case.fields}, case.files)
    assert shown(request) == case.expected
    assert prompt(request) == "Add a hat"


def test_what_nobody_here_reads_may_come_twice() -> None:
    request = parse_form({"prompt": "Add a hat", "loras": ["a", "b"]}, [("image", PNG)])
    assert list(request.extras) == ["loras"]


def test_a_file_that_is_empty_is_called_so() -> None:
    with pytest.raises(InvalidRequest, match="image is empty: it must have content") as caught:
        parse_form({"prompt": "Add a hat"}, [("image", b"")])
    assert caught.value.code == "empty_file"


def test_a_files_true_type_counts() -> None:
    request = parse_form({}, [("image", b"\xff\xd8\xff\xe0" + b"\0" * 20)])
    assert (shown(request)[0][0] or "").startswith("data:image/jpeg;base64,")


def test_a_whole_request() -> None:
    request = parse(
        {
            "model": "dall-e-3",
            "prompt": "A heron",
            "n": 3,
            "size": "1024x1536",
            "quality": "hd",
            "style": "vivid",
            "background": "transparent",
            "output_format": "webp",
            "output_compression": 80,
            "input_fidelity": "high",
            "moderation": "low",
            "partial_images": 2,
            "response_format": "url",
            "stream": True,
            "user": "u-1",
        },
        OPENAI_IMAGE_GENERATIONS,
    )
    assert (request.model, request.stream, request.include_usage) == ("dall-e-3", True, False)
    assert request.hints == Hints(image_generation=True)
    assert request.extras == {"user": Raw(b'"u-1"')}
    assert request.image == ImageOptions(
        count=3,
        size="1024x1536",
        quality="hd",
        style="vivid",
        background="transparent",
        output_format="webp",
        output_compression=80,
        input_fidelity="high",
        moderation="low",
        previews=2,
        delivery="link",
        required=True,
    )


def test_what_nobody_reads_does_not_hold_on_to_the_body() -> None:
    body = json.dumps({"prompt": "x", "image": DATA, "user": "u-1"}).encode()
    holders = sys.getrefcount(body)
    request = OPENAI_IMAGE_EDITS.parse_request(body, JSON)
    assert list(request.extras) == ["user"]
    assert sys.getrefcount(body) == holders


def test_the_least_request() -> None:
    request = parse({"prompt": "A heron"}, OPENAI_IMAGE_GENERATIONS)
    assert (request.model, request.stream) == (DEFAULT_MODEL, False)
    assert request.image == ImageOptions(required=True)
    assert [message.parts for message in request.messages] == [(Text("A heron"),)]


def test_a_form_is_read_by_the_same_rules() -> None:
    fields = {"model": "gpt-image-2", "n": 2, "stream": "yes", "partial_images": 1, "user": "u-1", "svg[model]": "x"}
    request = parse_form(fields, [("image", PNG), ("mask", OTHER), ("markup", OTHER)])
    options = ImageOptions(count=2, previews=1, mask=Image(OTHER_DATA, where="mask[0]"), required=True)
    assert (request.image, request.stream) == (options, True)
    assert sorted(request.extras) == ["markup", "svg[model]", "user"]


@pytest.mark.parametrize("dialect", [OPENAI_IMAGE_EDITS, OPENAI_IMAGE_VARIATIONS], ids=["edits", "variations"])
@pytest.mark.parametrize("said", [{}, {"prompt": ""}, {"prompt": "  "}], ids=["absent", "empty", "blank"])
def test_without_a_prompt_a_picture_is_varied(dialect: Any, said: Json) -> None:
    assert prompt(parse({"image": URL, **said}, dialect)) == VARIATION_PROMPT


def test_the_mask_as_json() -> None:
    request = parse({"prompt": "x", "image": URL, "mask": {"image_url": DATA}})
    assert request.image is not None
    assert request.image.mask == Image(DATA, where="mask.image_url")


def test_pictures_may_go_with_a_generation() -> None:
    assert shown(parse({"prompt": "x", "image": URL}, OPENAI_IMAGE_GENERATIONS)) == [(URL, "image")]


# What is refused.


class Refusal(Struct, frozen=True):
    id: str
    body: Json
    param: str
    code: str | None = None
    dialect: Any = OPENAI_IMAGE_EDITS


IMAGE = {"image": URL}
ABSENT = "missing_required_parameter"
INVALID = "invalid_image"
REFUSALS = [
    Refusal("a generation without a prompt", {"n": 1}, "prompt", ABSENT, OPENAI_IMAGE_GENERATIONS),
    Refusal("a generation of a picture alone", IMAGE, "prompt", ABSENT, OPENAI_IMAGE_GENERATIONS),
    Refusal("an edit without a picture", {"prompt": "x"}, "image", ABSENT),
    Refusal("a variation without a picture", {}, "image", ABSENT, OPENAI_IMAGE_VARIATIONS),
    Refusal("no pictures in a list", {"images": []}, "image", ABSENT),
    Refusal("n is 0", {**IMAGE, "n": 0}, "n"),
    Refusal("n is 11", {**IMAGE, "n": 11}, "n"),
    Refusal("n is a text", {**IMAGE, "n": "two"}, "n"),
    Refusal("a format of answers that there is not", {**IMAGE, "response_format": "png"}, "response_format"),
    Refusal("too many previews", {**IMAGE, "partial_images": 4}, "partial_images"),
    Refusal("too much compression", {**IMAGE, "output_compression": 101}, "output_compression"),
    Refusal("stream is a text", {**IMAGE, "stream": "true"}, "stream"),
    Refusal("too many pictures", {"images": [URL] * (MAX_IMAGES + 1)}, "image"),
    Refusal("two masks", {**IMAGE, "mask": [URL, URL]}, "mask"),
    Refusal("a mask that is none", {**IMAGE, "mask": "nothing"}, "mask", INVALID),
    Refusal("a local path", {"image": "/etc/passwd"}, "image", INVALID),
    Refusal("a file URL", {"image_url": "file:///etc/passwd"}, "image_url", INVALID),
    Refusal("an empty text", {"image": ""}, "image", INVALID),
    Refusal("base64 of no picture", {"images": [as_base64(b"%PDF-1.7 and so on")]}, "images[0]", INVALID),
    Refusal("a data URL of no picture", {"image_url": "data:image/png;base64,QUJD"}, "image_url", INVALID),
    Refusal("a data URL that is broken", {"image_url": {"url": "data:image/png;base64,%"}}, "image_url.url", INVALID),
    Refusal("a number for a picture", {"image": 7}, "image", INVALID),
    Refusal("an object that holds no picture", {"images": [{"alt": "x"}]}, "images[0].image_url", ABSENT),
    Refusal("a NUL in the prompt", {**IMAGE, "prompt": "a\0b"}, "prompt"),
    Refusal("a part of another kind", {"input": [{"type": "input_file"}]}, "input[0].type"),
    Refusal("a text part without text", {"input": [{"type": "input_text"}]}, "input[0].text", ABSENT),
    Refusal("lists in lists of pictures", {"images": [[URL]]}, "images[0]", INVALID),
    Refusal("messages in messages", {"messages": [{"content": [{"content": [7]}]}]}, "messages[0].content[0].content"),
    Refusal("lists without an end", {"input": json.loads("[" * 300 + "]" * 300)}, "input[0][0][0][0]"),
    Refusal("an input of numbers", {"input": [7]}, "input[0]"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_names_its_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(case.body, case.dialect)
    assert (caught.value.param, caught.value.code) == (case.param, case.code)


BAD_FORMS = [
    ("an unknown word for stream", {"stream": "perhaps"}, [("image", PNG)], "stream"),
    ("n is a word", {"n": "two"}, [("image", PNG)], "n"),
    ("n is negative", {"n": "-1"}, [("image", PNG)], "n"),
    ("a file that is no picture", {}, [("image", b"%PDF-1.7")], "image[0]"),
    ("an empty file", {}, [("image", b"")], "image"),
    ("an empty file in a list", {}, [("image[]", PNG), ("image[]", b"")], "image[]"),
    ("an empty mask", {}, [("image", PNG), ("mask", b"")], "mask"),
    ("a model twice", {"model": ["cheap", "expensive"]}, [("image", PNG)], "model"),
    ("a model that was first left alone", {"model": ["", "expensive"]}, [("image", PNG)], "model"),
    ("a stream twice", {"stream": ["false", "true"]}, [("image", PNG)], "stream"),
    ("two masks", {}, [("image", PNG), ("mask", PNG), ("mask", PNG)], "mask"),
]


@pytest.mark.parametrize(
    ("fields", "files", "param"), [case[1:] for case in BAD_FORMS], ids=[case[0] for case in BAD_FORMS]
)
def test_a_forms_refusal_names_its_field(fields: Json, files: list[tuple[str, bytes]], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_form(fields, files)
    assert caught.value.param == param


def test_a_refusal_never_repeats_what_was_sent() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"image": "c2VjcmV0LXBpY3R1cmU="})
    assert "c2VjcmV0" not in caught.value.message


@given(st.binary(max_size=200), st.sampled_from([JSON, "multipart/form-data; boundary=x", ""]))
def test_garbage_is_refused_politely(garbage: bytes, content_type: str) -> None:
    with pytest.raises(GatewayError):
        OPENAI_IMAGE_EDITS.parse_request(garbage, content_type)


# Which events a stream has.


class Style(Struct, frozen=True):
    id: str
    body: Json
    query: str
    streams: bool
    style: str


PLAIN = {"prompt": "x"}
STYLES = [
    Style("OpenAI's model, as its SDK asks", {"model": "gpt-image-2", "stream": True}, "", True, "openai"),
    Style("no model is OpenAI's", {"stream": True}, "", True, "openai"),
    Style("dall-e is OpenAI's", {"model": "dall-e-3", "stream": True}, "", True, "openai"),
    Style(
        "previews are OpenAI's, whatever the model",
        {"model": "gpt-5", "partial_images": 0, "stream": True},
        "",
        True,
        "openai",
    ),
    Style("a chat model", {"model": "gpt-5", "stream": True}, "", True, "aurora"),
    Style("response_format is Aurora's", {"response_format": "b64_json", "stream": True}, "", True, "aurora"),
    Style(
        "previews outweigh response_format",
        {"response_format": "url", "partial_images": 1, "stream": True},
        "",
        True,
        "openai",
    ),
    Style("a stream by the URL is Aurora's", {"model": "gpt-image-2"}, "stream=true", True, "aurora"),
    Style("a stream by both is Aurora's", {"stream": True}, "stream=1", True, "aurora"),
    Style("other words for yes", {}, "stream=YES", True, "aurora"),
    Style("on", {}, "a=b&stream=on", True, "aurora"),
    Style("previews outweigh the URL's stream", {"partial_images": 1}, "stream=true", True, "openai"),
    Style("the URL's no changes nothing", {"stream": True}, "stream=false", True, "openai"),
    Style(
        "the switch outweighs all, for Aurora", {"partial_images": 1, "stream": True}, "events=aurora", True, "aurora"
    ),
    Style("the switch outweighs all, for OpenAI", {"model": "x"}, "stream=true&events=openai", True, "openai"),
    Style("the switch alone is no stream", {}, "events=openai", False, "openai"),
]


@pytest.mark.parametrize("case", STYLES, ids=lambda case: case.id)
def test_the_events_fit_who_asks(case: Style) -> None:
    parsed = parse({**PLAIN, **case.body}, OPENAI_IMAGE_GENERATIONS)
    request = OPENAI_IMAGE_GENERATIONS.read_query(parsed, case.query)
    assert (request.stream, style_of(request)) == (case.streams, case.style)


@pytest.mark.parametrize(
    ("query", "param"), [("stream=perhaps", "stream"), ("stream", "stream"), ("events=both", "events")]
)
def test_a_query_that_is_not_understood(query: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        OPENAI_IMAGE_GENERATIONS.read_query(parse(PLAIN, OPENAI_IMAGE_GENERATIONS), query)
    assert caught.value.param == param
