"""Charts, drawn by hand: as few lines as say it."""

import math
from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Group, Line, PolyLine, Rect, String, Wedge
from reportlab.lib.colors import Color
from reportlab.pdfbase.pdfmetrics import stringWidth

from services.gateway.reports.style import ACCENT, BAD, BOLD, GOOD, INK, LINE, MUTED, PALE, SANS, WIDTH, fixed, mark, percent, printable

Points = Sequence[tuple[float, float]]
ROW, REASON = 17, 14


def _words(x: float, y: float, said: str, size: float = 7.5, color: Color = MUTED, anchor: str = "start", font: str = SANS) -> String:
    return String(x, y, printable(said), fontName=font, fontSize=size, fillColor=color, textAnchor=anchor)


def shortened(said: str, width: float, size: float, font: str = SANS) -> str:
    said = printable(said)
    if stringWidth(said, font, size) <= width:
        return said
    while said and stringWidth(said + "…", font, size) > width:
        said = said[:-1]
    return said.rstrip() + "…"


def gauge(probability: float, threshold: float | None, color: Color, width: float = 150) -> Drawing:
    """A half circle from 0 to 1, filled up to the probability, with a mark at the threshold."""
    radius, thick = width / 2 - 6, 15
    drawing = Drawing(width, radius + 26)
    x, y = width / 2, 16
    drawing.add(Wedge(x, y, radius, 0, 180, radius1=radius - thick, fillColor=PALE, strokeColor=LINE, strokeWidth=0.5))
    end = 180 - 180 * min(max(probability, 0.003), 1)
    drawing.add(Wedge(x, y, radius, end, 180, radius1=radius - thick, fillColor=color, strokeColor=None))
    drawing.add(_words(x, y + 6, percent(probability), 19, INK, "middle", BOLD))
    drawing.add(_words(x - radius + thick / 2, y - 10, "0 %", anchor="middle"))
    drawing.add(_words(x + radius - thick / 2, y - 10, "100 %", anchor="middle"))
    if threshold is not None:
        angle = math.radians(180 - 180 * threshold)
        inner, outer = radius - thick - 3, radius + 4
        ends = [x + inner * math.cos(angle), y + inner * math.sin(angle), x + outer * math.cos(angle), y + outer * math.sin(angle)]
        drawing.add(Line(*ends, strokeColor=INK, strokeWidth=1.6))
        drawing.add(_words(x, y - 10, f"| threshold {percent(threshold)}", anchor="middle"))
    return drawing


def contributions(parts: Sequence[tuple[str, str, float]], raises: Color = BAD, lowers: Color = GOOD) -> Drawing:
    """(title, value, contribution): a bar to the right raises the score, one to the left lowers it."""
    left, values = 140.0, 112.0
    begin, end = left + values + 34, WIDTH - 34
    middle, half = (begin + end) / 2, (end - begin) / 2
    largest = max((abs(part) for *_, part in parts), default=0) or 1.0
    height = REASON * len(parts) + 16
    drawing = Drawing(WIDTH, height)
    drawing.add(_words(middle - 4, height - 9, "lowers the score", anchor="end", color=lowers))
    drawing.add(_words(middle + 4, height - 9, "raises the score", color=raises))
    drawing.add(Line(middle, 0, middle, height - 14, strokeColor=LINE, strokeWidth=0.8))
    for place, (title, value, part) in enumerate(parts):
        y = height - 16 - REASON * (place + 1) + 3
        size = half * abs(part) / largest
        drawing.add(_words(0, y + 1.5, shortened(title, left - 6, 8.5), 8.5, INK))
        drawing.add(_words(left, y + 1.5, shortened(value, values, 8.5), 8.5, MUTED))
        drawing.add(Rect(middle if part > 0 else middle - size, y, size, REASON - 5.5, fillColor=raises if part > 0 else lowers, strokeColor=None))
        said = f"{'+' if part > 0 else '–' if part < 0 else ''}{fixed(abs(part))}"
        at, anchor = (middle + size + 3, "start") if part >= 0 else (middle - size - 3, "end")
        drawing.add(_words(at, y + 1.5, said, 7.5, INK, anchor))
    return drawing


def bars(parts: Sequence[tuple[str, float, str]], width: float, label: float, color: Color = ACCENT) -> Drawing:
    """(title, value, words): horizontal ones from zero; what is below is drawn as nothing."""
    drawing = Drawing(width, ROW * len(parts) + 2)
    largest = max((value for _, value, _ in parts), default=0) or 1.0
    for place, (title, value, said) in enumerate(parts):
        y = ROW * (len(parts) - place - 1) + 3
        size = (width - label - 44) * max(value, 0) / largest
        drawing.add(_words(0, y + 2, shortened(title, label - 6, 8.5), 8.5, INK))
        drawing.add(Rect(label, y, max(size, 0.6), ROW - 7, fillColor=color, strokeColor=None))
        drawing.add(_words(label + size + 4, y + 2, said, 7.5, INK))
    return drawing


class Plot:
    """Axes with a frame, four marks on each, and lines or columns within."""

    def __init__(self, title: str, x: str, y: str, limits: tuple[float, float, float, float], width: float = WIDTH / 2 - 8, height: float = 150) -> None:
        """`limits`: smallest and largest x, smallest and largest y."""
        self._limits = limits
        self._left, self._bottom = 36.0, 26.0
        self._wide, self._high = width - self._left - 6, height - self._bottom - 18
        self.drawing = Drawing(width, height)
        self.drawing.add(_words(0, height - 9, title, 8.5, INK, font=BOLD))
        self.drawing.add(_words(self._left + self._wide / 2, 2, x, anchor="middle"))
        turned = Group(_words(0, 0, y, anchor="middle"))
        turned.translate(7, self._bottom + self._high / 2)
        turned.rotate(90)
        self.drawing.add(turned)
        for step in range(5):
            across, up = limits[0] + (limits[1] - limits[0]) * step / 4, limits[2] + (limits[3] - limits[2]) * step / 4
            at_x, at_y = self._at(across, up)
            self.drawing.add(Line(self._left, at_y, self._left + self._wide, at_y, strokeColor=LINE, strokeWidth=0.4))
            self.drawing.add(_words(at_x, self._bottom - 10, mark(across), 6.5, anchor="end" if step == 4 else "middle"))
            self.drawing.add(_words(self._left - 4, at_y - 2.2, mark(up), 6.5, anchor="end"))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        low, high, bottom, top = self._limits
        return (
            self._left + self._wide * (min(max(x, low), high) - low) / ((high - low) or 1),
            self._bottom + self._high * (min(max(y, bottom), top) - bottom) / ((top - bottom) or 1),
        )

    def line(self, points: Points, color: Color = ACCENT, *, dashed: bool = False, dots: bool = False) -> "Plot":
        flat = [part for x, y in points for part in self._at(x, y)]
        if len(points) > 1:
            self.drawing.add(PolyLine(flat, strokeColor=color, strokeWidth=0.8 if dashed else 1.5, strokeDashArray=[3, 2] if dashed else None))
        for x, y in points if dots else ():
            at_x, at_y = self._at(x, y)
            self.drawing.add(Rect(at_x - 1.8, at_y - 1.8, 3.6, 3.6, fillColor=color, strokeColor=None))
        return self

    def columns(self, bins: Sequence[tuple[float, float, float]], color: Color = ACCENT) -> "Plot":
        """(from, to, height)"""
        for low, high, value in bins:
            (left, bottom), (right, top) = self._at(low, 0), self._at(high, value)
            self.drawing.add(Rect(left + 0.4, bottom, max(right - left - 0.8, 0.4), top - bottom, fillColor=color, strokeColor=None))
        return self

    def mark(self, x: float, said: str, color: Color = BAD) -> "Plot":
        """A line from bottom to top."""
        low, high, bottom, top = self._limits
        (at, base), (_, head) = self._at(x, bottom), self._at(x, top)
        right = (x - low) / ((high - low) or 1) < 0.6
        self.drawing.add(Line(at, base, at, head, strokeColor=color, strokeWidth=1))
        self.drawing.add(_words(at + (3 if right else -3), head - 8, said, 7, color, "start" if right else "end"))
        return self


def nice(value: float) -> float:
    """The next 1, 2, 2.5, 4, 5 or 8 times a power of ten: an axis ends there."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999))
