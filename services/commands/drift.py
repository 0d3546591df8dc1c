import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say, table
from services.commands.predict import whole
from services.local.api import Api
from services.local.failure import Failure

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[str | None, typer.Option(help="Whose answers; those of the version that serves without it.")]
Rows = Annotated[int | None, typer.Option(min=1, max=100_000, help="The newest so many; as the catalogue says without it.")]
Hours = Annotated[int | None, typer.Option(min=1, max=8760, help="None older than so many hours; as the catalogue says without it.")]
SECONDS = 300.0
UNDER_WAY = ("queued", "running")

drift = typer.Typer(help="Whether what a model is asked still resembles what it learned from.", no_args_is_help=True)


@drift.command()
def check(model: Model, version: Version = None, rows: Rows = None, hours: Hours = None, as_document: AsJson = False) -> None:
    """Check now, and show what was found."""
    gateway, path = access.gateway(), f"/models/{access.known_model(model)}/drift"
    _followed(gateway, gateway.post(path, _asked(version, rows, hours)))
    _show(_newest(gateway, path, model), as_document)


@drift.command()
def report(
    model: Model,
    evidently: Annotated[bool, typer.Option("--evidently", help="Have Evidently write a page about the same rows, now.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where that page goes; MODEL-drift.html without it.")] = None,
    version: Version = None,
    rows: Rows = None,
    hours: Hours = None,
    as_document: AsJson = False,
) -> None:
    """Show the last check; or, with --evidently, have a page written."""
    gateway, path = access.gateway(), f"/models/{access.known_model(model)}/drift"
    if not evidently:
        if any(one is not None for one in (out, version, rows, hours)):
            raise Failure("--out, --version, --rows and --hours belong to --evidently", f"`modelyard drift check {model}` checks other rows", code=2)
        _show(_newest(gateway, path, model), as_document)
        return
    run = _followed(gateway, gateway.post(f"{path}/evidently", _asked(version, rows, hours)))
    target = out or Path(f"{model}-drift.html")
    with whole(target) as file:
        gateway.download(f"{path}/evidently/{run['id']}", file)
    found = run["result"]
    if as_document:
        as_json(run)
    else:
        say(f"{target}: {found['words']}: {found['rows']} rows that version {found['version']} answered, beside what it was made for")


@drift.command()
def history(model: Model, as_document: AsJson = False) -> None:
    """List the last checks."""
    reports = access.gateway().get(f"/models/{access.known_model(model)}/drift?limit=20")["reports"]
    if as_document:
        as_json(reports)
        return
    table(["checked", "version", "#rows", "alarm", "words"], [_line(one) for one in reports])


def _asked(version: str | None, rows: int | None, hours: int | None) -> dict[str, Any]:
    given = {"version": version, "rows": rows, "hours": hours, "reason": "asked for by hand"}
    return {name: value for name, value in given.items() if value is not None}


def _followed(gateway: Api, run: dict[str, Any]) -> dict[str, Any]:
    """Raises Failure when the run does not succeed."""
    deadline = time.monotonic() + SECONDS
    while run["status"] in UNDER_WAY:
        if time.monotonic() > deadline:
            raise Failure(f"run {run['id']} has not ended within {SECONDS:.0f} s", f"`modelyard workflows show {run['id']}` shows how far it is")
        time.sleep(0.5)
        run = gateway.get(f"/workflows/{run['id']}")
    if run["status"] != "succeeded":
        raise Failure(run["error"] or f"the run {run['status']}", f"its log: `modelyard workflows logs {run['id']}`")
    return run


def _newest(gateway: Api, path: str, model: str) -> dict[str, Any]:
    reports = gateway.get(f"{path}?limit=1")["reports"]
    if not reports:
        raise Failure(f"{model} has never been checked", f"`modelyard drift check {model}` checks now")
    found: dict[str, Any] = reports[0]
    return found


def _show(report: dict[str, Any], as_document: bool) -> None:
    if as_document:
        as_json(report)
        return
    say(f"version {report['version']}: {report['words']}{' – ALARM' if report['alarm'] else ''}")
    window = report["window"]
    say(f"{window['rows']} rows from {moment(window['from'])} to {moment(window['to'])}, {report['tests']} tests")
    columns = ["feature", "#rows", "#missing", "#PSI", "#KS", "#moved by (sd)", "#p, corrected", "verdict", "words"]
    table(columns, [_feature(one) for one in _all(report)])
    if report["performance"]:
        say(f"\nlive performance: {report['performance']['words']} ({report['performance']['verdict'].replace('_', ' ')})")


def _all(report: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """What drifted first."""
    listed = [*report["features"], *([report["score"]] if report["score"] else [])]
    return sorted(listed, key=lambda one: one["verdict"] != "drift")


def _feature(one: dict[str, Any]) -> tuple[object, ...]:
    figures = [number(one[name]) for name in ("psi", "ks", "wasserstein", "p_adjusted")]
    return one["feature"], one["rows"], f"{one['missing']:.1%}", *figures, one["verdict"].replace("_", " "), one["words"]


def _line(one: dict[str, Any]) -> tuple[object, ...]:
    return moment(one["created_at"]), one["version"], one["window"]["rows"], "yes" if one["alarm"] else "", one["words"]
