"""What the demo says, with the seconds since its first drifted request, on the screen and for a file."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from services.commands.output import say, table
from services.local.failure import Failure

T = TypeVar("T")
POLL_SECONDS = 0.5


class Transcript:
    def __init__(self, title: str) -> None:
        self._began: float | None = None
        self._ended: float | None = None
        self._lines = [f"# {title}"]
        self._plain = False
        self.steps: list[tuple[str, float]] = []
        """Of each awaited step its name and how many seconds it took."""
        self.documents: dict[str, Any] = {}
        """What the platform told, by the name of its file."""

    def begin(self) -> None:
        """The clock starts here."""
        self._began = time.monotonic()

    def end(self) -> None:
        """And stops here."""
        self._ended = self._now()

    @property
    def seconds(self) -> float:
        return self._now() if self._ended is None else self._ended

    def _now(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def tell(self, words: str) -> None:
        clock = " " * 8 if self._began is None else f"{self._now():6.1f} s"
        say(f"{clock}  {words}")
        self._lines += [*([] if self._plain else ["", "```"]), f"{clock}  {words}"]
        self._plain = True

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Columns whose name begins with `#` are numbers."""
        say(f"\n{title}")
        table(columns, rows)
        self._close()
        names = [column.removeprefix("#") for column in columns]
        rule = ["---:" if column.startswith("#") else "---" for column in columns]
        self._lines += ["", f"## {title}", "", *(_line(one) for one in (names, rule, *rows))]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - began))

    def until(self, what: str, look: Callable[[], T | None], patience: float, hint: str) -> T:
        """The first thing that `look` finds. Raises Failure when time is up."""
        with self.step(what):
            end = time.monotonic() + patience
            while True:
                found = look()
                if found is not None:
                    return found
                if time.monotonic() > end:
                    raise Failure(f"{what}: nothing within {patience:.0f} s", hint)
                time.sleep(POLL_SECONDS)

    def write(self, folder: Path) -> None:
        """The transcript, and each document beside it."""
        self._close()
        (folder / "transcript.md").write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        for name, document in self.documents.items():
            (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def _close(self) -> None:
        if self._plain:
            self._lines.append("```")
        self._plain = False


def _line(cells: Sequence[object]) -> str:
    shown = ("" if cell is None else str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(shown)} |"
