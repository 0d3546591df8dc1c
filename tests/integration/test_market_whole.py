"""From a pair at Kraken to a forecast: the real gateway, the real control and the real client, with a small Kraken and a stand-in runner."""

import asyncio
import time
from pathlib import Path
from typing import Any

from services.gateway.access import Role
from tests.gateway import started
from tests.integration.control_server import TOKEN, control
from tests.integration.test_gateway_crypto import CONTRACTS, HOUR, forecast
from tests.kraken import KrakenServer, status


async def test_an_asset_from_its_addition_to_its_forecast(database_url: str, tmp_path: Path) -> None:
    async with (
        KrakenServer() as kraken,
        control(database_url, tmp_path, kraken_url=kraken.url, kraken_spacing_seconds=0, market_refresh_seconds=0.2) as private,
        started(database_url, CONTRACTS, control_url=str(private.base_url), control_token=TOKEN) as gateway,
    ):
        gateway.runner.model, gateway.runner.answer = next(iter(CONTRACTS)), forecast
        headers = await gateway.user("boss", Role.admin)

        async def ask(method: str, path: str, code: int = 200, **more: Any) -> Any:
            answer = await gateway.client.request(method, f"/crypto/{path}", headers=headers, **more)
            assert answer.status_code == code, answer.text
            return answer.json() if answer.content else None

        found = await ask("GET", "kraken_assets?search=btc")
        assert [pair["symbol"] for pair in found["pairs"]] == ["XBTUSD", "ETHXBT"]
        refused = await ask("POST", "assets", 422, json={"symbol": "XBTUSDT"})
        assert refused["near"][0] == "XBTUSD"
        added = await ask("POST", "assets", 201, json={"symbol": "BTC/USD"})
        assert (added["symbol"], added["wsname"], added["added_by"]) == ("XBTUSD", "XBT/USD", "boss")
        async with asyncio.timeout(20):
            while not (asset := (await ask("GET", "assets"))["assets"][0])["price"] or asset["backfill"]["state"] != "done":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert [(series["candles"], series["gaps"]) for series in asset["intervals"]] == [(719, 0), (719, 0)]
        history = await ask("GET", "asset_history/BTCUSD?limit=719")
        assert history["complete"]
        assert history["stale_seconds"] < HOUR + 60
        made = await ask("POST", "forecasts/BTCUSD", 201)
        assert made["forecast_for"] == int(time.time()) // HOUR * HOUR
        assert (await ask("GET", "forecasts/XBTUSD"))["forecasts"][0]["prediction_id"] == made["prediction_id"]

        # The newest candle is missing, and comes because a forecast needs it; without Kraken that is said.
        kraken.always = status(503)
        await gateway.query("DELETE FROM candles WHERE timestamp >= %s RETURNING 1", made["forecast_for"] - HOUR)
        said = await ask("POST", "forecasts/BTCUSD", 503)
        assert "Kraken answered with HTTP 503" in said["detail"]
        kraken.always = None
        assert (await ask("POST", "forecasts/BTCUSD", 201))["forecast_for"] == made["forecast_for"]
        await ask("DELETE", f"assets/{asset['id']}", 204)
        assert await ask("GET", "assets") == {"assets": []}
