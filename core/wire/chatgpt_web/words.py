"""What is asked of the service in words, for want of a field: said with the newest question."""

from collections.abc import Sequence

from msgspec import structs

from core.request import Image, Message, Text


def with_question(messages: tuple[Message, ...], parts: Sequence[Text | Image]) -> tuple[Message, ...]:
    """Return the messages with `parts` at the end of the user's last one; as they are when there is none."""
    places = [place for place, message in enumerate(messages) if message.role == "user"]
    if not parts or not places:
        return messages
    last = places[-1]
    changed = structs.replace(messages[last], parts=(*messages[last].parts, *parts))
    return (*messages[:last], changed, *messages[last + 1 :])
