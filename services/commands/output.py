"""How the commands print."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]
console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Columns whose name begins with `#` are numbers, set to the right."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(shown)


def as_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def say(text: str = "") -> None:
    """As it is: nothing is wrapped, so that it can be copied."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def moment(text: str | None) -> str:
    """A time stamp in this machine's time zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if abs(value) >= 1000 or abs(value) < 0.001 else f"{value:.4f}"
