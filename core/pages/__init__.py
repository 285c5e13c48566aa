"""Pages that a message names: finding their URLs, and turning what is there into text a model can read. No I/O."""

from core.pages.links import urls_in
from core.pages.text import ACCEPT, UnreadablePage, page_text

__all__ = ["ACCEPT", "UnreadablePage", "page_text", "urls_in"]
