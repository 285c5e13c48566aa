"""What is asked of a picture, in words: the service has no fields for it, so the prompt says it (section 6)."""

import re
from fnmatch import fnmatchcase

from msgspec import structs

from core.request import ChatRequest, Image, ImageOptions, Text
from core.wire.chatgpt_web.words import with_question

PICTURE_HINT = "picture_v2"
"""The system hint that makes a turn draw (section 6)."""

MASK_WORDS = "The last of these images is a mask: change only what lies where the mask is transparent."

_IMAGE_MODELS = ("gpt-image-*", "dall-e-*", "chatgpt-image-*", "dall-e", "gpt-image")
_NOT_SAID = (None, "auto")
_UNHEARD = ("quality", "output_compression", "input_fidelity", "moderation")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def drawing_model(model: str) -> str:
    """Return the chat model that draws: a name of OpenAI's image models leaves the choice to the service (CH-8)."""
    return "auto" if any(fnmatchcase(model, pattern) for pattern in _IMAGE_MODELS) else model


def with_words(request: ChatRequest) -> ChatRequest:
    """Return the request with its image options as words and pictures of its last user message.

    What no word can bring about is named in `ignored`, by its name in the API.
    """
    options = request.image
    if not request.hints.image_generation or options is None:
        return request
    said = _words(options)
    parts: list[Text | Image] = [options.mask] if options.mask else []
    if said:
        parts.append(Text(said))
    ignored = (*request.ignored, *_ignored(options))
    return structs.replace(request, messages=with_question(request.messages, parts), ignored=ignored)


def _words(options: ImageOptions) -> str:
    sentences = [MASK_WORDS] if options.mask else []
    if options.size not in _NOT_SAID:
        sentences.append(f"Size: {options.size}{_orientation(options.size or '')}.")
    if options.style not in _NOT_SAID:
        sentences.append(f"Style: {options.style}.")
    if options.background not in _NOT_SAID:
        sentences.append(f"Background: {options.background}.")
    return "\n".join(sentences)


def _orientation(size: str) -> str:
    found = _SIZE.fullmatch(size)
    if not found:
        return ""
    width, height = int(found[1]), int(found[2])
    return " (square)" if width == height else " (landscape)" if width > height else " (portrait)"


def _ignored(options: ImageOptions) -> list[str]:
    """Pictures come as PNG, so that this format alone is honoured (capture image_edit_side_calls)."""
    names = [name for name in _UNHEARD if getattr(options, name) not in _NOT_SAID]
    return names + (["output_format"] if options.output_format not in (None, "png") else [])
