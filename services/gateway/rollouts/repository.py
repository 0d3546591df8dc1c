from typing import LiteralString

from services.kit.postgres import Connection

PERCENTS: LiteralString = """
SELECT m.model, d.canary_percent FROM unnest(%s::text[]) AS m(model)
CROSS JOIN LATERAL (SELECT canary_percent FROM deployments WHERE model = m.model ORDER BY id DESC LIMIT 1) d
"""


async def percents(connection: Connection, models: list[str]) -> dict[str, int]:
    """The share of callers whom each model's challenger answers, as the ledger's last row says."""
    return dict(await (await connection.execute(PERCENTS, (models,))).fetchall())
