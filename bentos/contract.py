"""What a model folder provides. tests/contract checks it for every entry of the catalogue.

A folder has `schema.py` (pure pydantic: all that the gateway imports), `features.py` (numpy: all that a runner imports),
`data.py` and `train.py` (pandas and scikit-learn: only the pipeline), `service.py` and `bentofile.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bentos.schemas import Schema as Schema
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
        where = f" in {self.count} rows ({', '.join(map(str, self.rows))}{', …' if self.count > len(self.rows) else ''})" if self.rows else ""
        return f"{self.column}: {self.rule}{where}"


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
    groups: NDArray[Any]
    """Label per example whose metrics are worth reading apart (asset and interval, say); one label otherwise."""

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
            groups=self.groups[index],
        )


def features(model: str) -> Features:
    return cast(Features, import_module(f"bentos.{model}.features"))


def data(model: str) -> Data:
    return cast(Data, import_module(f"bentos.{model}.data"))


def train(model: str) -> Train:
    return cast(Train, import_module(f"bentos.{model}.train"))


def columns_of_rows(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Request rows as columns. Raises KeyError for a missing field; `None` becomes NaN."""
    columns: dict[str, NDArray[Any]] = {}
    for name in fields:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            columns[name] = np.array(values, dtype=object)
        elif isinstance(values[0], list):
            columns[name] = np.array(values, dtype=np.float64)
        elif any(isinstance(value, str) for value in values):
            columns[name] = np.array(values, dtype=object)
        else:
            columns[name] = np.array(values, dtype=np.float64)
    return columns


def columns_of_frame(frame: pd.DataFrame, fields: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The same columns from a data frame with one example per row."""
    columns: dict[str, NDArray[Any]] = {}
    for name in fields:
        series = frame[name]
        if series.dtype.kind in "biuf":
            columns[name] = series.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            columns[name] = series.astype(object).where(series.notna(), None).to_numpy(dtype=object)
    return columns


def rows_of_columns(columns: Columns, fields: Sequence[str], integers: frozenset[str]) -> list[dict[str, Any]]:
    """The inverse of `columns_of_rows`: request rows, NaN as `None`, `integers` as int."""

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [plain(name, item) for item in value]
        if value is None or isinstance(value, str):
            return value
        if value != value:
            return None
        return int(value) if name in integers else float(value)

    length = len(next(iter(columns.values())))
    return [{name: plain(name, columns[name][i]) for name in fields} for i in range(length)]


def integer_fields(model: type[BaseModel]) -> frozenset[str]:
    """Fields that JSON carries as integers (also within lists, also optional)."""

    def integer(part: dict[str, Any]) -> bool:
        if part.get("type") == "array":
            return integer(part["items"])
        options = part.get("anyOf", [part])
        return any(option.get("type") == "integer" for option in options)

    properties = model.model_json_schema()["properties"]
    return frozenset(name for name, part in properties.items() if integer(part))
