"""Files that the code interpreter made: the answer's text names them as `sandbox:/mnt/data/...`, which nobody outside
of the service can open. Here such mentions become links.

A mention may be split over deltas, so what might be one is held back until it ends; it never begins within a word, or
every word that ends in an "s" would be kept waiting. Sources: chatgpt-web reference,
sections 3.11 and 5.5; mentions are percent-encoded, or not, as the model pleases.
"""

import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import unquote

from core.request import StoredFile
from core.text import held_suffix

MAX_PATH_CHARS = 400
"""A longer path is no mention: its text is given back."""

FileLink: TypeAlias = Callable[[StoredFile], str]
"""Makes the link to a file."""

_SCHEME = "sandbox:"
_BEGINNING = _SCHEME + "/mnt/data/"
_STOP = re.compile(
    '[\x00-\x20\x7f\\s<>"`|\\\\\\[\\]\u3001\u3002\u3010\u3011\uff0c\uff1b\uff1a\uff01\uff1f\uff09\ue200-\ue204]'
)
_TRAILING = ".,;:!?*_'~"
"""What ends a sentence or an emphasis rather than a path."""


class SandboxLinks:
    """Lets text through with its mentions of files replaced.

    `link` is given a file's path, `/mnt/data/` included; where it returns `None` the mention stays.
    """

    def __init__(self, link: Callable[[str], str | None]) -> None:
        self._link = link
        self._held = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """Return what of the text so far can be shown, beyond what was returned before."""
        text = self._held + text
        shown: list[str] = []
        position = 0
        while (start := self._find(text, position)) >= 0:
            shown.append(text[position:start])
            end = _end_of_path(text, start + len(_BEGINNING))
            if end is None:
                return self._keep(shown, text, start)
            shown.append(self._linked(text[start:end]))
            position = end
        whole = len(text) - held_suffix(text[position:], _BEGINNING)
        if not self._begins_word(text, whole):
            whole = len(text)
        return self._keep([*shown, text[position:whole]], text, whole)

    def close(self) -> str:
        """Return what was held back, now that no more text comes."""
        rest, self._held = self._held, ""
        return self._linked(rest) if rest.startswith(_BEGINNING) else rest

    def _find(self, text: str, position: int) -> int:
        """Return where the next mention begins, -1 for none."""
        while (start := text.find(_BEGINNING, position)) >= 0 and not self._begins_word(text, start):
            position = start + 1
        return start

    def _begins_word(self, text: str, place: int) -> bool:
        return not (text[place - 1] if place else self._before).isalnum()

    def _keep(self, shown: list[str], text: str, place: int) -> str:
        """Hold back the text from `place` on, and return what is shown of the rest."""
        self._held = text[place:]
        self._before = text[place - 1] if place else self._before
        return "".join(shown)

    def _linked(self, mention: str) -> str:
        bare = mention.rstrip(_TRAILING)
        if len(bare) <= len(_BEGINNING):
            return mention
        link = self._link(unquote(bare.removeprefix(_SCHEME)))
        return mention if link is None else link + mention[len(bare) :]


def _end_of_path(text: str, start: int) -> int | None:
    """Return where the path that begins at `start` ends, None while that cannot be said; `start` if it is too long.

    Brackets within a path come in pairs: the one that closes a link in Markdown has no partner.
    """
    depth = 0
    for place, letter in enumerate(text[start : start + MAX_PATH_CHARS + 1], start):
        if _STOP.match(letter) or (letter == ")" and not depth):
            return place
        depth += (letter == "(") - (letter == ")")
    return None if len(text) <= start + MAX_PATH_CHARS else start


def sandbox_file(path: str, conversation_id: str, message_id: str | None, account: str | None) -> StoredFile:
    """Return the file that a message of a conversation mentions; it has no id of its own (section 5.5)."""
    return StoredFile(
        id=path,
        account=account,
        name=path.rpartition("/")[2] or None,
        conversation_id=conversation_id,
        message_id=message_id,
        path=path,
    )
