"""What several layers do with growing text."""


def held_suffix(text: str, tag: str) -> int:
    """Return how many trailing characters of `text` might begin `tag`.

    0 <= result < len(tag). The caller keeps that many back until more text arrives.
    """
    for length in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
