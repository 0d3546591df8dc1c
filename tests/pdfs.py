"""What stands in a PDF that reportlab has made."""

import base64
import re
import zlib

_STREAM = re.compile(rb"stream\r?\n(.*?)~>endstream", re.DOTALL)
_TEXT = re.compile(rb"\(((?:\\.|[^()\\])*)\) Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\(\d{3}|.)", re.DOTALL)


def words(pdf: bytes) -> str:
    """All texts, one a line, in the order in which they were drawn; spaces that do not break as plain ones."""
    drawn = b"".join(zlib.decompress(base64.a85decode(stream.strip())) for stream in _STREAM.findall(pdf))
    return "\n".join(_ESCAPED.sub(_plain, text).decode("cp1252") for text in _TEXT.findall(drawn)).replace("\xa0", " ")


def _plain(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 8)]) if escaped[1].isdigit() else escaped[1]


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))
