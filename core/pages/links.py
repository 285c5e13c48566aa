"""The URLs in a text that a person wrote."""

import re

# Whatever surrounds a URL in prose, Markdown, HTML or code ends it.
_URL = re.compile(r"https?://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_AFTER_A_URL = ".,;:!?*_~\u2026"
_BRACKETS = {")": "(", "]": "["}


def urls_in(text: str) -> tuple[str, ...]:
    """Return the http and https URLs in a text, each once, in their order.

    Punctuation at the end belongs to the sentence, and so does a closing bracket that was not opened in the URL.
    """
    return tuple(dict.fromkeys(url for found in _URL.findall(text) if len(url := _trimmed(found)) > len("https://")))


def _trimmed(url: str) -> str:
    """Cut a Markdown link's end, then what belongs to the sentence."""
    url = url.partition("](")[0]
    unopened = {closing: url.count(closing) - url.count(opening) for closing, opening in _BRACKETS.items()}
    end = len(url)
    while end and (url[end - 1] in _AFTER_A_URL or unopened.get(url[end - 1], 0) > 0):
        end -= 1
        if url[end] in unopened:
            unopened[url[end]] -= 1
    return url[:end]
