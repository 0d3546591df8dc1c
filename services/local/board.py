"""What `up` and `train` show while they work: one line per thing, live on a terminal, a line per change elsewhere."""

import time
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

Mark = Literal["waiting", "working", "done", "failed"]
SIGNS: dict[Mark, tuple[str, str]] = {"waiting": ("·", "dim"), "working": ("…", "yellow"), "done": ("✓", "green"), "failed": ("✗", "red")}


class Board:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._lines: dict[str, tuple[Mark, str, float]] = {}
        self._began = time.monotonic()
        self._live = Live(console=self.console, refresh_per_second=8, get_renderable=self._table) if self.console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, name: str, mark: Mark, detail: str = "") -> None:
        """Repeats cost nothing: only a change is shown."""
        before = self._lines.get(name)
        if before and before[:2] == (mark, detail):
            return
        self._lines[name] = (mark, detail, self.seconds)
        if self._live is None and mark != "waiting":
            sign = SIGNS[mark][0]
            self.console.print(f"{self.seconds:6.1f} s  {sign} {name:<28} {detail}".rstrip(), highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, (mark, detail, at) in self._lines.items():
            sign, style = SIGNS[mark]
            first = Spinner("dots", style=style) if mark == "working" else Text(sign, style)
            table.add_row(first, name, Text(detail, "dim", overflow="ellipsis", no_wrap=True), Text(f"{at:.1f} s" if mark == "done" else "", "dim"))
        return table
