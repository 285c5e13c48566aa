"""Pictures in a Chat Completions answer, for which OpenAI's format has no place.

They stand in `images`, beside `content`, as OpenRouter and LiteLLM have it; and so that no client loses one, a link in
Markdown stands in the text, which most clients show as the picture.
"""

import base64
from typing import Any

from core.contracts import Exchange
from core.fold import FoldedImage


def picture_object(exchange: Exchange, picture: FoldedImage, index: int) -> dict[str, Any]:
    """Return an item of `images`. The index lets the SDK's stream helper join what comes in several chunks."""
    url = f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"
    if not picture.data and picture.file is not None:
        url = exchange.link(picture.file)
    return {"type": "image_url", "index": index, "image_url": {"url": url}}


def picture_text(exchange: Exchange, picture: FoldedImage) -> str:
    """Return the link, or nothing when there can be none, or when the text must be JSON and nothing else."""
    wanted = exchange.request.output_format
    if picture.file is None or exchange.signer is None or (wanted is not None and wanted.kind != "text"):
        return ""
    return f"![image]({exchange.link(picture.file)})"
