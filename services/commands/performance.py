from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say, table
from services.local.failure import Failure

LIVE = ("roc_auc", "average_precision", "brier", "cost_per_row", "mae", "rmse", "mase", "coverage_80", "coverage_95")
"""What a line of `performance` shows, of what there is."""


def performance(model: Annotated[str, typer.Argument(help="Name of the model.")], as_document: AsJson = False) -> None:
    """What became of the answers, as the last check measured it: by version, day of prediction and segment."""
    gateway = access.gateway()
    reports = gateway.get(f"/models/{access.known_model(model)}/performance?limit=1")["reports"]
    if not reports:
        raise Failure(f"{model} has never been measured", f"`modelyard drift check {model}` measures now")
    (report,) = reports
    if as_document:
        as_json(report)
        return
    say(f"{report['words']} (measured {moment(report['created_at'])}; {report['rows']} outcomes of {report['answered']} answers in {report['days']} days)")
    for version in report["versions"]:
        say(f"\nversion {version['version']}: {version['rows']} outcomes of {version['answered']} answers")
        holdout = version["holdout"]
        lines = [(name, number(one["value"]), _interval(one), number((holdout.get(name) or {}).get("value"))) for name, one in version["metrics"].items()]
        table(["metric", "#live", "#95 % interval", "#hold-out"], lines)
        shown = [name for name in LIVE if name in version["metrics"]][:4]
        for title, parts in (("day of prediction", version["days"]), ("segment", version["segments"])):
            say()
            table([title, "#outcomes", *(f"#{name}" for name in shown)], [_part(one, shown) for one in parts])


def _part(one: dict[str, Any], shown: list[str]) -> tuple[object, ...]:
    label = one["day"] if "day" in one else f"{one['field']}: {one['segment']}"
    return label, one["rows"], *(number((one["metrics"].get(name) or {}).get("value")) if one["metrics"] else "too few" for name in shown)


def _interval(one: dict[str, Any]) -> str:
    return "" if one["low"] is None else f"{number(one['low'])} – {number(one['high'])}"
