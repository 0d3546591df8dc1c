"""`modelyard predict` with files, against a gateway on a port."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.commands.predict import send
from services.local.api import Api, Refused
from services.local.failure import Failure
from tests.gateway_process import EXAMPLE, MODEL, gateway_process


async def test_files_go_through_and_answers_come_whole(database_url: str, tmp_path: Path, capfdbinary: Any) -> None:
    async with gateway_process(database_url, tmp_path, workers=1) as gateway:
        gateway.runner.model = MODEL
        api = Api("the gateway", gateway.url, gateway.headers["Authorization"].removeprefix("Bearer "))
        rows = [EXAMPLE | {"age": 20 + number % 40} for number in range(3000)]
        ndjson, csv, small = tmp_path / "rows.ndjson", tmp_path / "rows.csv", tmp_path / "rows.json"
        ndjson.write_text("\n".join(map(json.dumps, rows)))
        csv.write_text("\n".join([",".join(EXAMPLE), *(",".join(map(str, row.values())) for row in rows[:10]), "x"]))
        small.write_text(json.dumps(rows[:3]))

        await asyncio.to_thread(send, api, MODEL, ndjson, tmp_path / "answers.csv", "fail")
        lines = (tmp_path / "answers.csv").read_text().splitlines()
        assert (len(lines), lines[0].partition(",")[0]) == (3001, "prediction_id")

        with pytest.raises(Refused) as refused:
            await asyncio.to_thread(send, api, MODEL, csv, tmp_path / "none.csv", "fail")
        assert refused.value.details == [f"rows.10: Row should have {len(EXAMPLE)} cells as the header, not 1 (got None)"]
        left = await asyncio.to_thread(lambda: {path.name for path in tmp_path.iterdir()})
        assert left == {"gateway.log", "spool", "rows.ndjson", "rows.csv", "rows.json", "answers.csv"}

        capfdbinary.readouterr()
        await asyncio.to_thread(send, api, MODEL, csv, None, "skip")
        shown = capfdbinary.readouterr()
        assert (len(shown.out.splitlines()), b"1 row was not answered" in shown.err) == (12, True)
        await asyncio.to_thread(send, api, MODEL, small, tmp_path / "answers.json", "fail")
        assert len(json.loads((tmp_path / "answers.json").read_text())["predictions"]) == 3
        with pytest.raises(Failure, match="cannot be read"):
            await asyncio.to_thread(send, api, MODEL, tmp_path / "no.csv", None, "fail")
