"""Trying a version before it serves everybody."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say, table
from services.local.api import Api
from services.local.failure import Failure

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[str | None, typer.Option("--version", help="The newest that the gate passed, and that does not serve, without it.")]
Percent = Annotated[int | None, typer.Option(min=1, max=100, help="The catalogue's without it.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger.")]
MOST_SEGMENTS = 10
LOOK_SECONDS = 0.5
MARKS = {"passed": "✓", "waits": "…", "harm": "✗"}


def shadow(model: Model, version: Version = None, percent: Percent = None, reason: Reason = "tried by hand") -> None:
    """Try a version in the shadow of the one that serves: it scores what that has answered, nobody gets its answers."""
    _challenge(model, "shadow", version, percent, reason)


def canary(model: Model, version: Version = None, percent: Percent = None, reason: Reason = "tried by hand") -> None:
    """Have some callers answered by the version that is tried; always the same ones."""
    _challenge(model, "canary", version, percent, reason)


def withdraw(model: Model, reason: Reason = "withdrawn by hand") -> None:
    """End the trial; what serves goes on."""
    entry = access.gateway().post(f"/models/{access.known_model(model)}/withdraw", {"reason": reason})
    say(f"{model}: nothing is tried any more, version {entry['to_version']} serves (ledger entry {entry['id']})")


def shadow_report(
    model: Model, version: Annotated[str | None, typer.Option("--version", help="Of an earlier trial.")] = None, as_document: AsJson = False
) -> None:
    """Show how the version that is tried does beside the one that serves."""
    found = access.gateway().get(f"/models/{access.known_model(model)}/shadow" + (f"?version={quote(version, safe='')}" if version else ""))
    if as_document:
        as_json(found)
        return
    trial = found["trial"]
    if trial is None:
        say(f"{model}: version {found['version']} is not tried now; its last report:")
    else:
        canary = f", answers {trial['canary_percent']} % of the callers" if trial["canary_percent"] else ""
        say(f"{model}: version {found['version']} is tried beside version {trial['champion']} since {moment(trial['since'])}{canary}")
    say(f"{found['scored']} rows scored in the shadow, {found['failed']} of them failed")
    if found["live"]:
        rows = [(one["version"], one["rows"], one["failed"], number(one["mean_score"]), *_latencies(one["latency_ms"])) for one in found["live"]]
        table(["answered by version", "#rows", "#failed", "#mean score", "#p50 ms", "#p99 ms"], rows)
    if found["report"] is None:
        say("there is no report yet: it comes some seconds after the first rows")
        return
    _print(found["report"])
    for rule in (found["judgement"] or {}).get("rules", []):
        say(f"  {MARKS[rule['state']]} {rule['words']}")


def replay(
    model: Model,
    version: Annotated[str | None, typer.Option("--version", help="The one that is tried without it.")] = None,
    since: Annotated[str | None, typer.Option(help="Rows answered from then on: ISO 8601 with an offset, such as 2026-11-21T14:03:00+00:00.")] = None,
    until: Annotated[str | None, typer.Option(help="And before then.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many rows at most, the newest.")] = None,
    as_document: AsJson = False,
) -> None:
    """Make the same report of any version from the audit."""
    gateway = access.gateway()
    given = {"version": version, "since": since, "until": until, "limit": limit, "reason": "asked for by hand"}
    asked = {name: value for name, value in given.items() if value is not None}
    run = _followed(gateway, gateway.post(f"/models/{access.known_model(model)}/replay", asked))
    if run["status"] != "succeeded":
        raise Failure(run["error"] or f"the run {run['status']}", f"`modelyard workflows logs {run['id']}` says more")
    found = run["result"]
    if as_document:
        as_json(found)
        return
    speed = f"{found['seconds']:.2f} s, {found['rows_per_second']:,.0f} rows/s"
    say(f"{model}: version {found['version']} beside what version {found['champion']} answered, {found['rows']} rows in {speed}")
    _print(found["report"])


def _challenge(model: str, mode: str, version: str | None, percent: int | None, reason: str) -> None:
    gateway = access.gateway()
    chosen = version or _newest(gateway, access.known_model(model))
    body = {"version": chosen, "mode": mode, "reason": reason} | ({} if percent is None else {"percent": percent})
    entry = gateway.post(f"/models/{model}/challenger", body)
    share = f"{entry['canary_percent']} % of the callers" if mode == "canary" else f"{entry['shadow_percent']} % of the rows"
    what = "is answered by" if mode == "canary" else "is scored by"
    say(f"{model}: {share} {what} version {chosen} beside version {entry['to_version']} (ledger entry {entry['id']})")
    say(f"  → `modelyard shadow-report {model}` shows how it does, `modelyard withdraw {model}` ends it")


def _newest(gateway: Api, model: str) -> str:
    ledger = gateway.get(f"/models/{model}/ledger?limit=1")["entries"]
    if ledger and ledger[0].get("challenger"):
        return str(ledger[0]["challenger"])
    for one in gateway.get(f"/models/{model}/versions")["versions"]:
        if not one["champion"] and (one["verdict"] or {}).get("passed"):
            return str(one["version"])
    raise Failure(f"{model} has no version that could be tried", f"`modelyard train {model}` makes one, `modelyard models {model}` lists them")


def _followed(gateway: Api, run: dict[str, Any]) -> dict[str, Any]:
    while run["status"] in ("queued", "running"):
        time.sleep(LOOK_SECONDS)
        run = gateway.get(f"/workflows/{run['id']}")
    return run


def _latencies(found: dict[str, float] | None) -> tuple[str, str]:
    return (number(found["p50"]), number(found["p99"])) if found else ("", "")


def _print(report: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [("failed", report["errors"]["rows"], report["rows"], _share(report["errors"]))]
    if report["flips"]:
        rows.append(("decided otherwise", report["flips"]["flips"], report["flips"]["rows"], _share(report["flips"])))
    table(["", "#count", "#of rows", "#share (95 % interval)"], rows)
    if score := report["score"]:
        say(f"score: mean {number(score['champion_mean'])} → {number(score['challenger_mean'])}, PSI {number(score['psi'])}, KS {number(score['ks'])}")
    for kind, cost in report["cost"].items():
        if cost:
            interval = f"{cost['low']:+.4g} to {cost['high']:+.4g}"
            say(f"{kind} cost of a row: {number(cost['champion'])} → {number(cost['challenger'])} ({interval}; {cost['rows']} rows)")
    if latency := report["latency"]:
        say(f"time for a row: {latency['champion_us']['p50']:.0f} → {latency['challenger_us']['p50']:.0f} µs (median; {latency['ratio']:.2f} times)")
    if segments := report["segments"][:MOST_SEGMENTS]:
        table(["most flips in", "", "#rows", "#share (95 % interval)"], [(one["feature"], one["segment"], one["rows"], _share(one)) for one in segments])


def _share(one: dict[str, Any]) -> str:
    return f"{one['share']:.1%} ({one['low']:.1%} – {one['high']:.1%})"
