"""Where an answer's sources belong: Google counts bytes of UTF-8 over all texts, the waist characters of one text."""

from core.events import Citation
from core.wire.gemini.chunks import Grounding, GroundingChunk


class Sources:
    """Takes the texts of an answer and what is said about their sources; gives the citations of each text."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._before_bytes = 0
        self._grounding: Grounding | None = None

    def said(self, text: str) -> None:
        self._texts.append(text)

    def take(self, grounding: Grounding) -> None:
        """Take what a chunk says of sources; a later one says it anew."""
        if grounding.grounding_chunks:
            self._grounding = grounding

    def end_text(self) -> tuple[Citation, ...]:
        """Return the citations of the text that ends here."""
        text = "".join(self._texts)
        self._texts.clear()
        if self._grounding is None:
            # Nobody needs the bytes of a text without sources but the sources of a later one.
            self._before_bytes += len(text) if text.isascii() else len(_encoded(text))
            return ()
        data = _encoded(text)
        cited = tuple(_citations(self._grounding, data, self._before_bytes))
        self._before_bytes += len(data)
        return cited


def _citations(grounding: Grounding, data: bytes, before: int) -> list[Citation]:
    """Return the citations within a text of these bytes; sources without a place stand for the whole text."""
    chunks = grounding.grounding_chunks or []
    supports = grounding.grounding_supports
    if not supports:
        whole = len(_decoded(data))
        return [_citation(chunk, 0, whole) for chunk in chunks if chunk.web]
    found: list[Citation] = []
    for support in supports:
        start, end = support.segment.start_index - before, support.segment.end_index - before
        if not 0 <= start <= end <= len(data):
            continue
        first, last = len(_decoded(data[:start])), len(_decoded(data[:end]))
        cited = (chunks[number] for number in support.grounding_chunk_indices or () if 0 <= number < len(chunks))
        found += (_citation(chunk, first, last) for chunk in cited if chunk.web)
    return found


def _citation(chunk: GroundingChunk, start: int, end: int) -> Citation:
    assert chunk.web is not None
    return Citation(chunk.web.uri, chunk.web.title or chunk.web.uri, start, end)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "ignore")
