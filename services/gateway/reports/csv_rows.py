"""A batch's rows as CSV: position, id, every field of the input and of the answer, versions. The database writes it."""

import csv
import io
from collections.abc import AsyncIterator
from uuid import UUID

from bentos.schemas import kinds
from services.gateway.predictions.contracts import Contract
from services.gateway.reports import repository
from services.kit.postgres import Pool

PAGE = 5000


async def stream(pool: Pool, contract: Contract, batch_id: UUID) -> AsyncIterator[bytes]:
    """Page by page: while a slow caller reads one, no connection to the database is kept for it."""
    inputs, outputs = contract.fields, kinds(contract.schema.Output)
    # A field of both has two columns.
    heads = [*inputs, *(name if name not in inputs else f"output_{name}" for name in outputs)]
    head = io.StringIO(newline="")
    csv.writer(head, lineterminator="\n").writerow(["row", "prediction_id", *heads, "model_version", "policy_version"])
    yield head.getvalue().encode()
    after: UUID | None = batch_id
    while after is not None:
        async with pool.connection() as connection:
            end = await repository.page_end(connection, batch_id, after, PAGE)
            page = await repository.csv_lines(connection, batch_id, after, end, inputs, outputs)
        yield page
        # The row that ended the page begins the next one.
        after = end and UUID(int=end.int - 1)
