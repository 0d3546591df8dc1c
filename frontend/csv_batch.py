"""A CSV to the gateway and back, with progress, as one table of questions and answers."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from frontend.gateway_client import Gateway

PIECE = 256 * 1024
Told = Callable[[float, str], None]
"""Hears how far it is, 0 to 1, and what goes on."""


@dataclass(frozen=True)
class BatchResult:
    model: str
    name: str
    batch: str
    """Empty when no row was answered."""
    table: pd.DataFrame
    """Row by row what was asked and answered; `error` where it was not."""
    answered: tuple[str, ...]
    """The columns that the answer has added."""

    @property
    def failed(self) -> pd.DataFrame:
        return self.table[self.table["error"].notna()] if "error" in self.table else self.table.iloc[0:0]

    @property
    def good(self) -> pd.DataFrame:
        return self.table[self.table["error"].isna()] if "error" in self.table else self.table


def run(gateway: Gateway, model: str, name: str, content: bytes, told: Told) -> BatchResult:
    """Raises GatewayError; then nothing was recorded."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), PIECE):
            told(0.5 * start / len(content), "Sending…")
            yield content[start : start + PIECE]
        told(0.5, "The model answers…")

    headers, answer = gateway.batch(model, pieces())
    got = io.BytesIO()
    for piece in answer:
        got.write(piece)
        told(0.5 + 0.5 * min(1.0, got.tell() / max(len(content), 1)), "Receiving…")
    got.seek(0)
    answers = pd.read_csv(got)
    asked = pd.read_csv(io.BytesIO(content))
    added = tuple(str(column) for column in answers.columns)
    clashing = {column: f"{column} (given)" for column in asked.columns if column in added}
    return BatchResult(model, name, headers.get("X-Batch-ID", ""), pd.concat([asked.rename(columns=clashing), answers], axis=1), added)
