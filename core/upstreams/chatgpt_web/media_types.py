"""What a file is to be called upstream: its media type, and a name whose ending says the same."""

import re

from core.media import sniff

MAX_NAME_CHARS = 200

_OFFICE = "application/vnd.openxmlformats-officedocument"
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "avif": "image/avif",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "epub": "application/epub+zip",
    "txt": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "py": "text/x-python",
    "js": "text/javascript",
    "ts": "text/x-typescript",
    "java": "text/x-java",
    "c": "text/x-c",
    "cpp": "text/x-c++",
    "go": "text/x-go",
    "rs": "text/x-rust",
    "sh": "text/x-sh",
    "tex": "text/x-tex",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "parquet": "application/vnd.apache.parquet",
    "zip": "application/zip",
    "gz": "application/gzip",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
_ENDING_OF = {media_type: ending for ending, media_type in reversed(_ENDINGS.items())}

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,100}")
_VAGUE = frozenset({"application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded"})
_UNTOLD = "application/octet-stream"


def media_type_of(data: bytes, declared: str | None, name: str | None) -> str:
    """Return the media type of a file: what its bytes show, else what its sender or its name says.

    `data` is the file or its beginning. A zip shows no more than that it is one, so there the word counts too.
    """
    shown = sniff(data)
    told = _told(declared, name)
    if shown == "application/zip":
        return told if told.startswith("application/") and told != _UNTOLD else shown
    if shown is not None:
        return shown
    if told == _UNTOLD or _has_signature(told):
        return "text/plain" if _is_text(data) else _UNTOLD
    return told


def named(name: str | None, media_type: str, stem: str) -> str:
    """Return the last part of the file's name, or one made of `stem` and the ending that goes with its type."""
    if last := re.split(r"[/\\]", name or "")[-1].strip():
        return last[-MAX_NAME_CHARS:]
    ending = _ENDING_OF.get(media_type)
    return f"{stem}.{ending}" if ending else stem


def _told(declared: str | None, name: str | None) -> str:
    bare = (declared or "").partition(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(bare) and bare not in _VAGUE:
        return bare
    _, _, ending = (name or "").rpartition(".")
    return _ENDINGS.get(ending.lower(), _UNTOLD)


def _has_signature(media_type: str) -> bool:
    """Say whether a file of this type would have shown it, so that the word is wrong."""
    is_picture = media_type.startswith("image/") and media_type != "image/svg+xml"
    return is_picture or media_type in ("application/pdf", "application/zip", "application/gzip")


def _is_text(data: bytes) -> bool:
    """Say whether this could be UTF-8; the last character may be cut in two."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return len(data) - error.start < 4 and "end of data" in error.reason
    return b"\0" not in data
