"""Image options become words and pictures of the prompt, or are named as ignored."""

import pytest
from msgspec import Struct

from core.request import ChatRequest, Hints, Image, ImageOptions, Message, Text
from core.wire.chatgpt_web.image_words import MASK_WORDS, with_words

MASK = Image(url="data:image/png;base64,AA==", where="mask")
SOURCE = Image(url="https://a.example/cat.png")


class Case(Struct, frozen=True):
    id: str
    options: ImageOptions
    words: str = ""
    ignored: tuple[str, ...] = ()


CASES = [
    Case("nothing asked for", ImageOptions()),
    Case("what is left to the service", ImageOptions(size="auto", quality="auto", background="auto")),
    Case("a portrait", ImageOptions(size="1024x1536"), "Size: 1024x1536 (portrait)."),
    Case("a landscape", ImageOptions(size="1536x1024"), "Size: 1536x1024 (landscape)."),
    Case("a square", ImageOptions(size="512x512"), "Size: 512x512 (square)."),
    Case("a size of another kind", ImageOptions(size="16:9"), "Size: 16:9."),
    Case("style", ImageOptions(style="vivid"), "Style: vivid."),
    Case(
        "several words",
        ImageOptions(size="512x512", style="natural", background="transparent"),
        "Size: 512x512 (square).\nStyle: natural.\nBackground: transparent.",
    ),
    Case(
        "what no word brings about",
        ImageOptions(quality="high", output_compression=0, input_fidelity="high", moderation="low"),
        "",
        ("quality", "output_compression", "input_fidelity", "moderation"),
    ),
    Case("pictures come as PNG", ImageOptions(output_format="png")),
    Case("another format is not made", ImageOptions(output_format="webp"), "", ("output_format",)),
]


def request(options: ImageOptions | None, *messages: Message, draws: bool = True) -> ChatRequest:
    asked = messages or (Message("user", (Text("A cat"),)),)
    return ChatRequest("auto", asked, hints=Hints(image_generation=draws), image=options, ignored=("user",))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_options(case: Case) -> None:
    made = with_words(request(case.options))
    words = (Text(case.words),) if case.words else ()
    assert made.messages == (Message("user", (Text("A cat"), *words)),)
    assert made.ignored == ("user", *case.ignored)


def test_a_mask_comes_after_the_other_pictures_and_is_explained() -> None:
    edit = Message("user", (SOURCE, Text("Make it blue")))
    made = with_words(request(ImageOptions(mask=MASK), edit))
    assert made.messages[0].parts == (SOURCE, Text("Make it blue"), MASK, Text(MASK_WORDS))


def test_the_words_belong_to_the_newest_message_of_the_user() -> None:
    said = [Message("user", (Text("Hi"),)), Message("user", (Text("A cat"),)), Message("assistant", (Text("So:"),))]
    made = with_words(request(ImageOptions(style="vivid"), *said))
    assert made.messages == (said[0], Message("user", (Text("A cat"), Text("Style: vivid."))), said[2])


@pytest.mark.parametrize(
    "asked",
    [
        request(None),
        request(ImageOptions(style="vivid"), draws=False),
        request(ImageOptions(style="vivid"), Message("system", (Text("Draw."),))),
    ],
    ids=["no options", "a turn that does not draw", "nobody asked"],
)
def test_other_turns_stay_as_they_are(asked: ChatRequest) -> None:
    assert with_words(asked) == asked
