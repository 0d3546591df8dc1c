"""Small private files, replaced as a whole, so that a reader never sees half of one."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Readable by this user only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def read(path: Path) -> dict[str, Any] | None:
    """None when there is no such file. Raises ValueError, naming the file, when it cannot be understood."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): restore it, or remove it to start anew") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} is damaged: an object was expected")  # noqa: TRY004 - to the caller it is the same as bad JSON
    return document


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a text file, none when there is no file; reads its end only."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 400 * lines - 4096))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
