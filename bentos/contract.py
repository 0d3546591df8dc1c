"""What a model folder provides. tests/contract checks it for every entry of the catalogue.

A folder has `schema.py` (pure pydantic: all that the gateway imports), `features.py` (numpy: all that a runner imports),
`data.py` and `train.py` (pandas and scikit-learn: only the pipeline), `service.py` and `bentofile.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bentos.schemas import Kind as Kind
from bentos.schemas import Schema as Schema
from bentos.schemas import kinds as kinds
from bentos.schemas import schema as schema

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from sklearn.base import BaseEstimator

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
"""One array per field of `Input`: (n,) float64 with NaN for a missing value, (n,) of `object` for text, (n, L) for a list of L numbers."""


class Features(Protocol):
    """`bentos.<model>.features`"""

    FEATURES: tuple[str, ...]

    def matrix(self, columns: Columns) -> Floats:
        """(n, len(FEATURES)), C-contiguous. The same function for training and for serving."""
        ...


class RegressionFeatures(Features, Protocol):
    def answer(self, scores: Floats, columns: Columns) -> dict[str, NDArray[Any]]:
        """The fields of `Output`, an array of n each, from the estimator's raw output; `prediction` is among them."""
        ...


class IntervalFeatures(Features, Protocol):
    """Of a regression whose `Output` has lower_80, upper_80, lower_95 and upper_95, each `float | None`. serving/intervals.py makes the shifts."""

    def answer(self, scores: Floats, columns: Columns, shifts: Mapping[str, float] = ...) -> dict[str, NDArray[Any]]:
        """As of any regression, and for each name in `shifts` the prediction of `scores` plus this shift."""
        ...

    def score_of(self, truth: Floats, columns: Columns) -> Floats:
        """The score whose prediction is this. Its errors have to be alike for all rows, whatever asset or size: they are what intervals are made of."""
        ...


class Data(Protocol):
    """`bentos.<model>.data`"""

    def synthetic(self, rows: int, seed: int, drift: float) -> pd.DataFrame:
        """The same arguments give the same frame. `drift` 0 is the documented relation, 1 a clearly different population."""
        ...

    def files(self, paths: Sequence[Path]) -> pd.DataFrame:
        """A frame with the columns of `Record` and the target, its index the line number in the (first) file.

        Raises BadData with every problem found.
        """
        ...


class Train(Protocol):
    """`bentos.<model>.train`"""

    TARGET: str
    """The target's column in the frame."""

    def problems(self, frame: pd.DataFrame) -> list[Problem]:
        """Rules beyond those that `Record` states, for instance between columns or between rows."""
        ...

    def examples(self, frame: pd.DataFrame) -> Examples:
        """What the estimator learns from. The frame has passed validation."""
        ...

    def estimator(self, seed: int) -> BaseEstimator:
        """Unfitted; learns `Features.matrix`, single-threaded when it predicts."""
        ...


@dataclass(frozen=True)
class Problem:
    """One broken rule of a data set."""

    column: str
    rule: str
    rows: list[int] = field(default_factory=list)
    """Line numbers, at most 20 of them."""
    count: int = 1

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.column}: {self.rule}"
        more = ", …" if self.count > len(self.rows) else ""
        return f"{self.column}: {self.rule} in {self.count} row{'s' if self.count > 1 else ''} ({', '.join(map(str, self.rows))}{more})"


class BadData(Exception):
    """The data cannot be used as it is: trying again will not help."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Examples:
    """n examples; all arrays share the first axis."""

    columns: dict[str, NDArray[Any]]
    target: Floats
    """What the estimator fits: 0/1 for a classification."""
    truth: Floats
    """The target in the units of the answer (equal to `target` for a classification)."""
    baseline: Floats
    """The trivial answer in the same units: the base rate, the last price."""
    time: NDArray[np.int64] | None
    """UNIX seconds of each example where time matters: hold-out and folds are then split by it."""
    learn: NDArray[np.bool_]
    """What is worth learning from and judging a version by; the rest is only answered and measured when somebody asks."""
    groups: NDArray[Any]
    """Label per example whose metrics are worth reading apart (asset and interval, say); one label otherwise."""
    answered: Floats | None = None
    """Of a data set with answered rows: UNIX seconds of each one's prediction, NaN for the others. The newest are then the hold-out."""

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: NDArray[Any]) -> Examples:
        """A subset, by boolean mask or positions."""
        return Examples(
            columns={name: values[index] for name, values in self.columns.items()},
            target=self.target[index],
            truth=self.truth[index],
            baseline=self.baseline[index],
            time=None if self.time is None else self.time[index],
            learn=self.learn[index],
            groups=self.groups[index],
            answered=None if self.answered is None else self.answered[index],
        )


def features(model: str) -> Features:
    return cast(Features, import_module(f"bentos.{model}.features"))


def sources(model: str) -> dict[str, tuple[str, ...]]:
    """Of each feature, the fields of `Input` that it is made of: those that `features.py` may name in `SOURCES`, else the field of the feature's own name.

    Without either there are none, and people see the feature itself. Raises ValueError for a name in `SOURCES` that is no field, or no feature.
    """
    module = features(model)
    given: Mapping[str, str | tuple[str, ...]] = getattr(module, "SOURCES", {})
    known = schema(model).Input.model_fields
    named = {feature: given.get(feature, feature if feature in known else ()) for feature in module.FEATURES}
    found = {feature: (names,) if isinstance(names, str) else tuple(names) for feature, names in named.items()}
    unknown = [feature for feature, names in found.items() if not set(names) <= known.keys()] + sorted(given.keys() - found.keys())
    if unknown:
        raise ValueError(f"{model}/features.py: SOURCES must name fields of the schema for its features; wrong: {', '.join(unknown)}")
    return found


def data(model: str) -> Data:
    return cast(Data, import_module(f"bentos.{model}.data"))


def train(model: str) -> Train:
    return cast(Train, import_module(f"bentos.{model}.train"))


class RowReader:
    """Request rows as columns. Made once for a model: of a single row, finding out what to read would cost as much as reading it."""

    def __init__(self, fields: Mapping[str, Kind]) -> None:
        """`fields` are those of `kinds(Input)`."""
        self._numbers = [name for name, kind in fields.items() if kind != "text"]
        self._texts = [name for name, kind in fields.items() if kind == "text"]
        # With one name alone, an itemgetter gives the value instead of a tuple.
        self._values = itemgetter(*self._numbers) if len(self._numbers) > 1 else lambda row: tuple(row[name] for name in self._numbers)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        """At least one row. Raises KeyError for a missing field, ValueError for lists of different lengths; `None` becomes NaN in a number."""
        columns: dict[str, NDArray[Any]]
        if list in map(type, self._values(rows[0])):
            columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in self._numbers}
        else:
            # One conversion of one flat list: for numpy, to look into nested ones is more work than to convert them.
            flat = np.array(list(chain.from_iterable(map(self._values, rows))), dtype=np.float64)
            columns = dict(zip(self._numbers, np.ascontiguousarray(flat.reshape(len(rows), -1).T), strict=True))
        for name in self._texts:
            columns[name] = np.array([row[name] for row in rows], dtype=object)
        return columns


def columns_of_rows(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, Kind]) -> dict[str, NDArray[Any]]:
    """See RowReader, which is worth keeping where it is needed again."""
    return RowReader(fields)(rows)


def columns_of_frame(frame: pd.DataFrame, fields: Mapping[str, Kind]) -> dict[str, NDArray[Any]]:
    """The same columns from a data frame with one example per row."""
    columns: dict[str, NDArray[Any]] = {}
    for name, kind in fields.items():
        series = frame[name]
        if kind == "text":
            columns[name] = series.astype(object).where(series.notna(), None).to_numpy(dtype=object)
        else:
            columns[name] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return columns


def rows_of_columns(columns: Columns, fields: Mapping[str, Kind]) -> list[dict[str, Any]]:
    """The inverse of `columns_of_rows`: request rows, NaN as `None`."""
    convert = {"integer": int, "boolean": bool, "number": float, "text": str}

    def plain(value: Any, kind: Kind) -> Any:
        if isinstance(value, np.ndarray):
            return [plain(item, kind) for item in value]
        return None if value is None or value != value else convert[kind](value)

    converted = [[plain(value, kind) for value in columns[name]] for name, kind in fields.items()]
    return [dict(zip(fields, values, strict=True)) for values in zip(*converted, strict=True)]
