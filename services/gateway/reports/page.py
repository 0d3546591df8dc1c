"""The paper: a head and a foot on every page, and how many there are."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Flowable, Frame, PageTemplate, Paragraph

from services.gateway.reports.style import ACCENT, BOLD, INK, LINE, MARGIN, MUTED, SANS, printable

_, HEIGHT = A4
TOP, BOTTOM = 24 * mm, 18 * mm
WITH_A_HEAD = 90
"""Points that a section's head and the beginning of what follows need: less are left empty."""


class NumberedCanvas(Canvas):  # type: ignore[misc]
    """Knows the number of pages before it writes the first one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for place, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self.setFont(SANS, 7.5)
            self.setFillColor(MUTED)
            self.drawRightString(A4[0] - MARGIN, 11 * mm, f"Page {place} of {len(self._pages)}")
            super().showPage()
        super().save()


def drawn(story: Sequence[Flowable], kind: str, subject: str, made_at: str) -> bytes:
    """The PDF. `kind` and `subject` stand at the head of each page, `subject` and `made_at` at its foot."""

    def page(canvas: Canvas, _: BaseDocTemplate) -> None:
        right = A4[0] - MARGIN
        canvas.saveState()
        canvas.setFillColor(ACCENT)
        canvas.rect(MARGIN, HEIGHT - 17 * mm, 3.2 * mm, 3.2 * mm, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.setFont(BOLD, 10)
        canvas.drawString(MARGIN + 5 * mm, HEIGHT - 16.8 * mm, "Modelyard")
        canvas.setFillColor(MUTED)
        canvas.setFont(SANS, 8.5)
        canvas.drawRightString(right, HEIGHT - 16.8 * mm, printable(kind))
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(MARGIN, HEIGHT - 20 * mm, right, HEIGHT - 20 * mm)
        canvas.line(MARGIN, 15 * mm, right, 15 * mm)
        canvas.setFont(SANS, 7.5)
        canvas.drawString(MARGIN, 11 * mm, printable(f"{subject} · report made {made_at}"))
        canvas.restoreState()

    out = BytesIO()
    template = BaseDocTemplate(out, pagesize=A4, title=printable(f"{kind}: {subject}"), author="Modelyard", creator="Modelyard", invariant=1)
    frame = Frame(MARGIN, BOTTOM, A4[0] - 2 * MARGIN, HEIGHT - TOP - BOTTOM, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    template.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=page)])
    template.build(list(_together(story)), canvasmaker=NumberedCanvas)
    return out.getvalue()


def _together(story: Sequence[Flowable]) -> Iterator[Flowable]:
    """No head stands alone at the foot of a page; what follows it may still go on to the next one."""
    for part in story:
        if isinstance(part, Paragraph) and part.style.name == "section":
            yield CondPageBreak(WITH_A_HEAD)
        yield part
