"""Tables of a report."""

from collections.abc import Sequence
from typing import Any

from reportlab.platypus import Flowable, Spacer, Table, TableStyle

from services.gateway.reports.style import LINE, PALE, WIDTH, text

MOST_OF_A_CELL = 300
"""Characters: a row of a table goes on one page."""


def facts(pairs: Sequence[tuple[str, Any]], columns: int = 2) -> Flowable:
    """Label above value, in so many columns."""
    cells = [[text(label, "label"), value if isinstance(value, Flowable) else text(value, "value", most=MOST_OF_A_CELL)] for label, value in pairs]
    rows = [list(cells[place : place + columns]) for place in range(0, len(cells), columns)]
    for row in rows:
        row.extend([""] * (columns - len(row)))  # type: ignore[list-item]
    shown = Table(rows, colWidths=[WIDTH / columns] * columns)
    padding = [("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 4), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    shown.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *padding]))
    return shown


def listed(heads: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[float]) -> Flowable:
    """A head whose name begins with `#` is one of numbers, set to the right. `widths`: shares of the page."""
    right = [head.startswith("#") for head in heads]
    top = [text(head.lstrip("#"), "head_number" if flush else "head") for head, flush in zip(heads, right, strict=True)]

    def cell(one: Any, flush: bool) -> Flowable:
        return one if isinstance(one, Flowable) else text(one, "number" if flush else "cell", most=MOST_OF_A_CELL)

    cells = [[cell(*pair) for pair in zip(row, right, strict=True)] for row in rows]
    total = sum(widths)
    shown = Table([top, *cells], colWidths=[WIDTH * width / total for width in widths], repeatRows=1)
    shown.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("BACKGROUND", (0, 0), (-1, 0), PALE),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
                ("LEFTPADDING", (0, 0), (-1, -1), 5),
                ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ]
        )
    )
    return shown


def side_by_side(left: Flowable | Sequence[Flowable], right: Flowable | Sequence[Flowable], share: float = 0.5) -> Flowable:
    cells = [[list(part) if isinstance(part, Sequence) else part for part in (left, right)]]
    shown = Table(cells, colWidths=[WIDTH * share, WIDTH * (1 - share)])
    between = [("RIGHTPADDING", (0, 0), (0, 0), 10), ("RIGHTPADDING", (1, 0), (1, 0), 0)]
    shown.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0), *between]))
    return shown


def gap(points: float = 8) -> Flowable:
    return Spacer(1, points)
