"""What models with one example per CSV line share: reading published files, and examples from a frame. Only the pipeline imports it."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from bentos.contract import BadData, Examples, Problem, columns_of_frame, kinds

SHOWN = 20
"""Line numbers that a problem lists."""
UNKNOWN = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL"})
"""How files spell a missing value."""


def broken(column: str, rule: str, wrong: pd.Series[bool]) -> list[Problem]:
    """The problem of the rows marked in `wrong`, or nothing when no row is."""
    lines = [int(line) for line in wrong.index[wrong.to_numpy(dtype=bool)]]
    return [Problem(column, rule, lines[:SHOWN], len(lines))] if lines else []


def ordered(frame: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Problem]:
    """One problem per pair whose first column is above the second somewhere; missing values are not compared."""
    return [problem for low, high in pairs for problem in broken(low, f"must not be above {high}", frame[low] > frame[high])]


def header(path: Path) -> list[str]:
    """The names in the first line. Raises BadData when there is none to read."""
    with closing(_lines(path)) as lines:
        return next(lines)[1]


def read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as text (missing values as NaN), indexed by line number; empty lines are left out.

    Raises BadData for an unreadable file, for missing columns (all of them), for lines of another length than the first and for a file without rows.
    """
    with closing(_lines(path)) as lines:
        found = next(lines)[1]
        if not set(columns).issubset(found):
            raise lacking(path, columns, found)
        places = [found.index(name) for name in columns]
        rows: list[list[str | None]] = []
        numbers: list[int] = []
        ragged: list[int] = []
        for number, values in lines:
            if len(values) != len(found):
                ragged.append(number)
            elif not ragged:
                rows.append([None if values[place] in UNKNOWN else values[place] for place in places])
                numbers.append(number)
    if ragged:
        raise BadData([Problem(path.name, f"a line must have {len(found)} values like the first", ragged[:SHOWN], len(ragged))])
    if not rows:
        raise BadData([Problem(path.name, "has no rows")])
    return pd.DataFrame(rows, columns=list(columns), index=numbers, dtype="str")


def lacking(path: Path, columns: Sequence[str], found: Sequence[str]) -> BadData:
    """Every column of a form that the header lacks."""
    hint = "; its first line holds one name only: is the separator a comma?" if len(found) == 1 else ""
    return BadData([Problem(name, f"column is missing in {path.name}{hint}") for name in columns if name not in found])


def find(paths: Sequence[Path], forms: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Which of the files has which form, by its columns; files of no form are passed over.

    Raises BadData for a file that cannot be read, and when two files have the same form: adding them up could count a row twice.
    """
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in sorted(paths):
        try:
            names = set(header(path))
        except BadData as bad:
            problems += bad.problems
            continue
        for form, columns in forms.items():
            if names.issuperset(columns):
                if form in found:
                    problems.append(Problem(path.name, f"is a second file of the form of {found[form].name} ({form}): name the one to use"))
                found.setdefault(form, path)
    if problems:
        raise BadData(problems)
    return found


def nearest(paths: Sequence[Path], forms: Sequence[Sequence[str]]) -> BadData:
    """Why no file was of use: the columns missing in the file that comes closest to one of the forms."""
    if not paths:
        return BadData([Problem("files", f"there is no CSV file; expected one with the columns {', '.join(forms[0])}")])
    headers = {path: header(path) for path in paths}
    path, columns = max(((path, form) for path in paths for form in forms), key=lambda pair: len(set(pair[1]).intersection(headers[pair[0]])) / len(pair[1]))
    return lacking(path, columns, headers[path])


def numbers(text: pd.Series[Any], name: str) -> tuple[pd.Series[Any], list[Problem]]:
    """Text as numbers; whole numbers without gaps become integers. What is no number is a problem, and missing in the result."""
    values = pd.to_numeric(text, errors="coerce")
    wrong = text.notna() & ~np.isfinite(values.astype("float64"))
    problems = broken(name, f"not a number: {_some(text[wrong])}", wrong)
    values = values.mask(wrong)
    whole = bool((values.notna() & (values % 1 == 0) & (values.abs() < 2**53)).all())
    return (values.astype("int64") if whole else values.astype("float64")), problems


def recoded(text: pd.Series[Any], name: str, spelling: Mapping[str, Any]) -> tuple[pd.Series[Any], list[Problem]]:
    """Each text's own value. A text that is not in `spelling` is a problem that names the known ones."""
    wrong = text.notna() & ~text.isin(list(spelling))
    return text.map(spelling), broken(name, f"{_some(text[wrong])} is none of {', '.join(spelling)}", wrong)


def convert(frame: pd.DataFrame, spelling: Mapping[str, Mapping[str, Any]], numeric: Sequence[str]) -> list[Problem]:
    """Changes the columns named in `spelling` and `numeric` in place; returns what could not be changed."""
    problems: list[Problem] = []
    for name, own in spelling.items():
        if name in frame:
            frame[name], flaws = recoded(frame[name], name, own)
            problems += flaws
    for name in numeric:
        frame[name], flaws = numbers(frame[name], name)
        problems += flaws
    return problems


def examples(frame: pd.DataFrame, record: type[BaseModel], target: str, groups: pd.Series[Any]) -> Examples:
    """One example per row; the baseline answers every row with the base rate."""
    values: NDArray[np.float64] = frame[target].to_numpy(dtype=np.float64)
    return Examples(
        columns=columns_of_frame(frame, kinds(record)),
        target=values,
        truth=values,
        baseline=np.full(len(values), values.mean()),
        time=None,
        learn=np.ones(len(values), dtype=bool),
        groups=groups.astype(str).to_numpy(dtype=object),
    )


def _some(values: pd.Series[Any]) -> str:
    seen = [repr(value) for value in values.unique()[:5]]
    return ", ".join(seen) + (", …" if values.nunique() > len(seen) else "")


def _lines(path: Path) -> Generator[tuple[int, list[str]]]:
    """Line numbers and values, the names first; lines without any value are left out. Raises BadData in words instead of the reader's own errors."""
    opened = gzip.open if path.suffix == ".gz" else open
    end, empty = 0, True
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for values in reader:
                start, end = end + 1, reader.line_num
                if any(values):
                    empty = False
                    yield start, values
        if not empty:
            return
        rule = "the file is empty"
    except FileNotFoundError:
        rule = "there is no such file"
    except UnicodeDecodeError:
        rule = f"not UTF-8 text near line {end + 1}; save it as UTF-8"
    except csv.Error as error:
        rule = f"not a CSV table at line {end + 1}: {error}"
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        rule = f"not a whole gzip file: {error}"
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
    raise BadData([Problem(str(path), rule)])
