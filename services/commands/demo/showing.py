"""What the platform keeps of the story, as figures."""

from collections.abc import Mapping
from typing import Any

from services.commands.demo.transcript import Transcript
from services.commands.output import moment, number
from services.local.api import Api
from services.local.failure import Failure

MOST_SEGMENTS = 5
FRESH = 100


def drift(transcript: Transcript, report: Mapping[str, Any]) -> None:
    """What drifted, and how far."""
    listed = [*report["features"], *([report["score"]] if report["score"] else [])]
    drifted = [one for one in listed if one["verdict"] == "drift"]
    rows = [(one["feature"], *(number(one[name]) for name in ("psi", "ks", "wasserstein", "p_adjusted")), one["words"]) for one in drifted]
    title = f"Drift report {report['id']}: {report['window']['rows']} rows, {report['tests']} tests, {len(drifted)} of {len(listed)} drifted"
    transcript.table(title, ["feature", "#PSI", "#KS", "#moved by (sd)", "#p, corrected", "words"], rows)


def gate(transcript: Transcript, version: str, verdict: Mapping[str, Any]) -> None:
    rows = [(rule["rule"].replace("_", " "), "✓" if rule["passed"] else "✗", rule["words"]) for rule in verdict["rules"]]
    transcript.table(f"The gate's verdict on version {version}", ["rule", "", "words"], rows)


def shadow(transcript: Transcript, shown: Mapping[str, Any], judgement: Mapping[str, Any] | None) -> None:
    """What the trial has shown."""
    report = shown["report"]
    rows: list[tuple[object, ...]] = [("rows that it could not score", f"{report['errors']['rows']} of {report['rows']}", "")]
    if report["flips"]:
        flips = report["flips"]
        rows.append(("decided otherwise", f"{flips['flips']} of {flips['rows']}", f"{flips['share']:.1%} ({flips['low']:.1%} to {flips['high']:.1%})"))
    if report["score"]:
        score = report["score"]
        rows.append(("mean score", f"{score['champion_mean']:.4f} → {score['challenger_mean']:.4f}", f"PSI {number(score['psi'])}, KS {number(score['ks'])}"))
    for kind, cost in report["cost"].items():
        if cost:
            between = f"{cost['difference']:+.4f} ({cost['low']:+.4f} to {cost['high']:+.4f})"
            rows.append((f"{kind} cost of a row", f"{cost['champion']:.4f} → {cost['challenger']:.4f}", between))
    if report["latency"]:
        speed = report["latency"]
        times = f"{speed['champion_us']['p50']:.0f} → {speed['challenger_us']['p50']:.0f} µs"
        rows.append(("time for a row, median", times, f"{speed['ratio']:.2f} times"))
    for one in (report["segments"] or [])[:MOST_SEGMENTS]:
        share = f"{one['share']:.1%} ({one['low']:.1%} to {one['high']:.1%})"
        rows.append((f"decided otherwise where {one['feature']} is {one['segment']}", f"{one['flips']} of {one['rows']}", share))
    title = f"The shadow of version {shown['version']} beside version {report['champion']}: {shown['scored']} rows scored, {shown['failed']} failed"
    transcript.table(title, ["", "champion → challenger", "change, 95 % interval"], rows)
    if judgement:
        transcript.table(
            "What the catalogue's rules said of it", ["rule", "state", "words"], [(one["rule"], one["state"], one["words"]) for one in judgement["rules"]]
        )


def ledger(gateway: Api, transcript: Transcript, model: str, since: int) -> None:
    """The rows of the story, oldest first, and their chain. Raises Failure when somebody has rewritten it."""
    rows = [one for one in gateway.get(f"/models/{model}/ledger?limit={FRESH}")["entries"] if one["id"] > since][::-1]
    checked = gateway.get(f"/models/{model}/ledger/verify")
    if not checked["ok"]:
        raise Failure(f"the ledger of {model} is broken", f"`modelyard ledger verify {model}` says where")
    transcript.documents["ledger"] = {"entries": rows, "chain": checked}
    title = f"Ledger: a whole chain of {checked['rows']} entries, head {checked['head']}"
    listed = [
        (one["id"], moment(one["created_at"]), one["action"], one["to_version"], one["challenger"], one["actor"], one["reason"], _proved(one), one["hash"][:12])
        for one in rows
    ]
    transcript.table(title, ["#id", "time", "action", "serves", "tries", "by", "reason", "#verified", "hash"], listed)


def _proved(entry: Mapping[str, Any]) -> str:
    said = entry["verification"]
    return "" if said is None else f"{said['seconds']:.2f} s" if said["complete"] else "not by all"


def told(transcript: Transcript, notifications: list[dict[str, Any]]) -> None:
    """Oldest first."""
    transcript.documents["notifications"] = notifications
    rows = [(one["id"], moment(one["created_at"]), one["event"], one["title"], one["level"], _channels(one)) for one in notifications]
    transcript.table("Notifications", ["#id", "time", "event", "title", "level", "channels"], rows)


def _channels(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{delivery['channel']} {delivery['status']}" for delivery in one["deliveries"]) or "no channel wants it"
