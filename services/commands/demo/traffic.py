"""Invented clients: rows of the model's own kind, asked as anybody asks, and later what really happened."""

from dataclasses import dataclass
from typing import Any

from bentos import contract
from services.local.api import Api

PIECE = 500
"""Rows of a batch."""


@dataclass(frozen=True)
class Asked:
    """What became of some rows, by the versions that answered."""

    rows: int
    versions: dict[str, int]
    positive: float
    """Share of the rows whose truth is the positive class."""
    last: str
    """The id of one of the predictions."""


def send(gateway: Api, model: str, rows: int, seed: int, drift: float) -> Asked:
    """Asks for all rows, then tells the outcome of each."""
    frame = contract.data(model).synthetic(rows, seed, drift)
    fields = contract.kinds(contract.schema(model).Input)
    inputs = contract.rows_of_columns(contract.columns_of_frame(frame, fields), fields)
    truth = [float(value) for value in frame[contract.train(model).TARGET]]
    versions: dict[str, int] = {}
    ids: list[str] = []
    for begin in range(0, rows, PIECE):
        answer = gateway.post(f"/predict/{model}/batch", {"rows": inputs[begin : begin + PIECE]})
        version = str(answer["model_version"])
        versions[version] = versions.get(version, 0) + len(answer["predictions"])
        ids = [one["prediction_id"] for one in answer["predictions"]]
        _tell(gateway, ids, truth[begin : begin + PIECE])
    return Asked(rows, versions, sum(truth) / rows, ids[-1])


def _tell(gateway: Api, ids: list[str], truth: list[float]) -> None:
    outcomes: list[dict[str, Any]] = [{"prediction_id": identifier, "value": value} for identifier, value in zip(ids, truth, strict=True)]
    gateway.post("/predictions/outcomes", {"outcomes": outcomes})
