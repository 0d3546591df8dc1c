from collections.abc import Collection
from datetime import datetime

from services.kit.postgres import Pool


async def trained_since(pool: Pool, models: Collection[str]) -> dict[str, datetime]:
    """When the first version of each model was registered; those without one are left out."""
    query = "SELECT model, min(created_at) FROM model_versions WHERE model = ANY(%s) GROUP BY model"
    async with pool.connection() as connection:
        return dict(await (await connection.execute(query, [list(models)])).fetchall())
