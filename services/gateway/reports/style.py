"""How a report looks: one typeface, one accent, three colours that mean something."""

import unicodedata
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph

INK, MUTED, LINE, PALE = HexColor("#172033"), HexColor("#5B6577"), HexColor("#D9DEE7"), HexColor("#F3F5F9")
ACCENT, GOOD, BAD, WARN = HexColor("#1D4E89"), HexColor("#1B7F5C"), HexColor("#B3372F"), HexColor("#B7791F")
SANS, BOLD, MONO = "Helvetica", "Helvetica-Bold", "Courier"
MARGIN, WIDTH = 18 * mm, 174 * mm
LONGEST_TEXT = 2000

_BODY = ParagraphStyle("body", fontName=SANS, fontSize=9, leading=12.5, textColor=INK, splitLongWords=True)
STYLES = {
    "body": _BODY,
    "small": ParagraphStyle("small", _BODY, fontSize=7.5, leading=10, textColor=MUTED),
    "label": ParagraphStyle("label", _BODY, fontSize=7.5, leading=10, textColor=MUTED),
    "value": ParagraphStyle("value", _BODY, fontSize=9, leading=11.5),
    "number": ParagraphStyle("number", _BODY, fontSize=8.5, leading=11, alignment=TA_RIGHT),
    "cell": ParagraphStyle("cell", _BODY, fontSize=8.5, leading=11),
    "head": ParagraphStyle("head", _BODY, fontName=BOLD, fontSize=7.5, leading=10, textColor=MUTED),
    "head_number": ParagraphStyle("head_number", _BODY, fontName=BOLD, fontSize=7.5, leading=10, textColor=MUTED, alignment=TA_RIGHT),
    "title": ParagraphStyle("title", _BODY, fontName=BOLD, fontSize=20, leading=25, spaceAfter=2),
    "lead": ParagraphStyle("lead", _BODY, fontSize=10.5, leading=14, textColor=MUTED),
    "section": ParagraphStyle("section", _BODY, fontName=BOLD, fontSize=11.5, leading=15, spaceBefore=10, spaceAfter=4),
    "big": ParagraphStyle("big", _BODY, fontName=BOLD, fontSize=22, leading=28, spaceAfter=3),
    "mono": ParagraphStyle("mono", _BODY, fontName=MONO, fontSize=7.5, leading=10, splitLongWords=True),
}
_REPLACED = {"−": "-", "≤": "<=", "≥": ">=", "→": "->", "₂": "2", "\u202f": " ", "\u00a0": " "}


def printable(text: Any, most: int = LONGEST_TEXT) -> str:
    """What the typeface has (Windows-1252); other letters without their accents, or as a question mark. Long texts end with an ellipsis."""
    found = str(text)
    if len(found) > most:
        found = found[:most] + "…"
    for sign, other in _REPLACED.items():
        found = found.replace(sign, other)
    return "".join(_letter(letter) for letter in found)


def _letter(letter: str) -> str:
    if letter in "\n\t":
        return " "
    if letter < " ":
        return ""
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        return plain or "?"
    return letter


def text(words: Any, style: str = "body", color: Color | None = None, most: int = LONGEST_TEXT) -> Flowable:
    """A paragraph of plain text: nothing in it is markup. `most`: characters, where there is no second page to go on."""
    shown = escape(printable(words, most))
    if color is not None:
        shown = f'<font color="#{color.hexval()[2:]}">{shown}</font>'
    return Paragraph(shown, STYLES[style])


def number(value: Any, digits: int = 4) -> str:
    """For people: thousands apart, no more digits than say something."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u00a0")
    if not isinstance(value, float):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return number(int(value))
    if abs(value) >= 1000:
        return f"{value:,.2f}".replace(",", "\u00a0")
    if abs(value) < 10**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def fixed(value: Any) -> str:
    """Of a column of figures: as many digits behind the point in each."""
    return number(value) if not isinstance(value, float) or abs(value) >= 1000 or 0 < abs(value) < 1e-4 else f"{value:.4f}"


def mark(value: float) -> str:
    """Of an axis."""
    return number(round(value)) if abs(value) >= 100 else number(value, 2)


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def plain(value: Any) -> str:
    """A field's value; a list by its length and ends."""
    if isinstance(value, list):
        ends = f"{number(value[0])} … {number(value[-1])}" if value else ""
        return f"{len(value)} values: {ends}" if value else "none"
    return "not known" if value is None else number(value)


def moment(iso: Any) -> str:
    """To the second, in UTC."""
    return f"{str(iso)[:19].replace('T', ' ')} UTC" if iso else "–"
