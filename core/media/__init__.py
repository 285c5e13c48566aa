"""What bytes are: their media type by their first bytes, a picture's size, and bytes that came as text. No I/O."""

from core.media.inline import Blob, as_url, is_data_url, read_base64, read_data_url
from core.media.magic import sniff, type_of
from core.media.pixels import image_size

__all__ = ["Blob", "as_url", "image_size", "is_data_url", "read_base64", "read_data_url", "sniff", "type_of"]
