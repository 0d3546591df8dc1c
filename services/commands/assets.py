from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import as_json, moment, say, table
from services.local.api import Api, Refused
from services.local.failure import Failure

assets = typer.Typer(help="Crypto assets, whose candles are collected.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="As Kraken or everybody names the pair: XBTUSD, BTC/USD.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]


@assets.command("list")
def list_assets(as_document: AsJson = False) -> None:
    """Each asset with its price, its candles, and how old they are."""
    found = access.gateway().get("/crypto/assets")
    if as_document:
        as_json(found)
        return
    if not found["assets"]:
        raise Failure("there is no asset yet", "`modelyard assets add BTC/USD`")
    table(["#id", "asset", "#price", "at", "#hours", "#days", "age", "back-fill"], [_row(one) for one in found["assets"]])


@assets.command("add")
def add_asset(symbol: Name) -> None:
    """Collect the candles of a pair that Kraken offers; its back-fill begins at once."""
    try:
        made = access.gateway().post("/crypto/assets", {"symbol": symbol})
    except Refused as refused:
        if refused.status == 422:
            raise Failure(refused.message, "`GET /crypto/kraken_assets?search=` finds pairs", code=2) from None
        raise
    say(f"{made['symbol']} was added; `modelyard assets list` shows how far its back-fill is")


@assets.command("remove")
def remove_asset(symbol: Name) -> None:
    """Forget an asset and its candles; predictions stay."""
    gateway = access.gateway()
    asset = _named(gateway, symbol)
    gateway.send("DELETE", f"/crypto/assets/{asset['id']}")
    say(f"{asset['symbol']} was removed")


@assets.command("refresh")
def refresh_asset(symbol: Name) -> None:
    """Ask Kraken for the newest candles now."""
    asset = _named(access.gateway(), symbol)
    stored = access.control().post(f"/market/assets/{asset['id']}/refresh", {})["candles"]
    say(f"{asset['symbol']}: {stored} candle{'' if stored == 1 else 's'} new or corrected")


def _named(gateway: Api, symbol: str) -> Any:
    """By any name. Raises Failure with the assets there are."""
    try:
        canonical = gateway.get(f"/crypto/asset_history/{quote(symbol.replace('/', '-'), safe='')}?limit=1")["asset"]
    except Refused as refused:
        raise Failure(refused.message, "`modelyard assets list` shows them", code=2) from None
    return next(one for one in gateway.get("/crypto/assets")["assets"] if one["symbol"] == canonical)


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    hourly, daily = one["intervals"]
    backfill = one["backfill"]
    state = f"{backfill['state']}: {backfill['error']}" if backfill["error"] else f"{backfill['state']} ({backfill['done']} of {backfill['total']})"
    gaps = f" ({hourly['gaps']} missing)" if hourly["gaps"] else ""
    return one["id"], one["symbol"], one["price"], moment(one["price_at"]), f"{hourly['candles']}{gaps}", daily["candles"], _age(hourly["stale_seconds"]), state


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
