"""The closed loop as one story: traffic drifts, the platform finds out, retrains, tries, promotes and tells. All of it is asked of the gateway."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.demo import beginning, showing
from services.commands.demo.traffic import Asked, send
from services.commands.demo.transcript import Transcript
from services.commands.output import say
from services.local.api import Api
from services.local.failure import Failure

ENDED = ("succeeded", "failed", "stopped")
RUN_SECONDS, TRIAL_SECONDS, TOLD_SECONDS, PROVED_SECONDS = 600.0, 300.0, 60.0, 35.0
TRIAL_ROWS, TRIAL_PAUSE, AFTERWARDS = 250, 0.5, 500
LIMITS = ("cooldown", "daily limit")
"""Rules of retraining that hold for alarms, and not for a person who asks for a training."""


def drift(
    model: Annotated[str | None, typer.Option(help="A classification of the catalogue; the first one without it.")] = None,
    rows: Annotated[int, typer.Option(min=500, help="Rows before the drift, and as many with it.")] = 1500,
    strength: Annotated[float, typer.Option("--drift", min=0.1, max=2, help="How far the clients move away from what was learned.")] = 2.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the invented clients; other ones each time without it.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the transcript (Markdown), the documents, the version's report and a proof.")] = None,
) -> None:
    """Send traffic that drifts, and watch what the platform does about it until a better version serves."""
    gateway = access.gateway()
    name = access.known_model(model) if model else _first()
    seed = int(time.time()) if seed is None else seed
    transcript = Transcript(f"Drift of {name}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    since = _newest(gateway, name)
    decided = {one["id"]: one["times"] for one in _retrainings(gateway, name)}
    before = beginning.prepare(gateway, transcript, name)
    transcript.tell(f"{name}: version {before} serves (invented clients of seed {seed})")
    _asked(transcript, "as learned", send(gateway, name, rows, seed, 0.0))
    usual = _checked(gateway, transcript, name, rows)
    transcript.tell(f"check: {usual['words']}")
    if usual["alarm"]:
        raise Failure(f"version {before} meets drift before the demo has made any", f"`modelyard drift report {name}` says more")

    transcript.begin()
    drifted = send(gateway, name, rows, seed + 1, strength)
    _asked(transcript, f"drifted by {strength:g}", drifted)
    report = _checked(gateway, transcript, name, rows)
    transcript.documents["drift"] = report
    transcript.tell(f"check: {report['words']}{' – ALARM' if report['alarm'] else ''}")
    if not report["alarm"]:
        raise Failure(f"the check found no drift in {rows} rows", "more --rows, or more --drift, are easier to see")
    run_id = _decided(gateway, transcript, name, decided)
    version = _trained(gateway, transcript, run_id)
    _followed(gateway, transcript, name, before, version, seed, strength)
    _shown(gateway, transcript, name, version, since)
    if out is not None:
        _kept(gateway, transcript, name, version, drifted, out)


def _first() -> str:
    from bentos import catalogue

    return next(name for name, entry in catalogue.load().models.items() if entry.task == "classification")


def _newest(gateway: Api, model: str) -> dict[str, int]:
    """The newest ids before the story: what comes later belongs to it."""

    def top(path: str, field: str) -> int:
        return max((one["id"] for one in gateway.get(f"{path}limit=1")[field]), default=0)

    return {
        "ledger": top(f"/models/{model}/ledger?", "entries"),
        "notifications": top(f"/notifications?model={model}&", "notifications"),
    }


def _retrainings(gateway: Api, model: str) -> list[dict[str, Any]]:
    """The latest decisions. One that repeats another is counted in its row."""
    found: list[dict[str, Any]] = gateway.get(f"/models/{model}/retrainings?limit=20")["retrainings"]
    return found


def _asked(transcript: Transcript, how: str, asked: Asked) -> None:
    by = ", ".join(f"version {version} answered {count}" for version, count in asked.versions.items())
    transcript.tell(f"{asked.rows} rows {how}, each with its outcome: {by}; {asked.positive:.1%} are positive")


def _checked(gateway: Api, transcript: Transcript, model: str, rows: int) -> dict[str, Any]:
    """The report on the newest rows, as soon as it is stored: its run goes on to measure performance."""
    path = f"/models/{model}/drift"
    run_id = gateway.post(path, {"rows": rows, "reason": "the demo"})["id"]

    def look() -> dict[str, Any] | None:
        run = gateway.get(f"/workflows/{run_id}")
        stored = next(((step["result"] or {}).get("report") for step in run["steps"] if step["name"] == "drift"), None)
        report: dict[str, Any] | None = next((one for one in gateway.get(f"{path}?limit=5")["reports"] if one["id"] == stored), None)
        if report is None and run["status"] in ENDED:
            raise Failure(f"the drift check {run['status']}: {run['error']}", f"modelyard workflows logs {run_id}")
        return report

    return transcript.until("the drift check", look, RUN_SECONDS, f"modelyard workflows show {run_id}")


def _decided(gateway: Api, transcript: Transcript, model: str, before: dict[int, int]) -> str:
    """The run of the training that the alarm led to, or that is asked for where only a limit for alarms speaks against it."""

    def look() -> dict[str, Any] | None:
        found = [one for one in _retrainings(gateway, model) if before.get(one["id"]) != one["times"]]
        return next((one for one in found if one["decision"] == "submitted"), found[0] if found else None)

    decision = transcript.until("a decision about retraining", look, 30, f"modelyard retrainings {model}")
    transcript.documents["retraining"] = decision
    transcript.tell(f"retraining {decision['decision']} (reason {decision['reason']}): {decision['why']}")
    if decision["decision"] == "submitted":
        return str(decision["run_id"])
    if decision["rule"] not in LIMITS:
        raise Failure(f"{model} is not retrained: {decision['why']}", f"modelyard retrainings {model}")
    body = {"model": model, "source": "recent", "rollout": "shadow", "reason": f"the demo asks for it: the alarm was held back by the {decision['rule']}"}
    run = gateway.post("/prediction/train", body)
    transcript.tell("a person asks for the same training, and is not held back")
    return str(run["id"])


def _trained(gateway: Api, transcript: Transcript, run_id: str) -> str:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = gateway.get(f"/workflows/{run_id}")
        return found if found["status"] in ENDED else None

    run = transcript.until("the training", look, RUN_SECONDS, f"modelyard workflows show {run_id}")
    transcript.documents["training"] = run
    if run["status"] != "succeeded":
        raise Failure(f"the training {run['status']}: {run['error']}", f"modelyard workflows logs {run_id}")
    result = run["result"] or {}
    verdict = result["verdict"]
    transcript.tell(
        f"version {result['version']} is trained on {run['parameters'].get('source')} data: the gate {'passes' if verdict['passed'] else 'REFUSES'} it"
    )
    if not verdict["passed"]:
        showing.gate(transcript, result["version"], verdict)
        raise Failure(f"the gate refuses version {result['version']}: it is not better", "a stronger --drift, or more --rows, would make it so")
    return str(result["version"])


def _followed(gateway: Api, transcript: Transcript, model: str, before: str, version: str, seed: int, strength: float) -> None:
    """Traffic goes on, so that the trial has something to look at, until the version serves; and a little longer, under the watch."""
    asked = 0

    def promoted() -> bool | None:
        nonlocal asked
        if beginning.champion(gateway, model) == version:
            return True
        latest = gateway.get(f"/models/{model}/ledger?limit=1")["entries"][0]
        if latest["action"] == "withdraw":
            raise Failure(f"the trial of version {version} was ended: {latest['reason']}", f"modelyard ledger {model}")
        asked += 1
        send(gateway, model, TRIAL_ROWS, seed + 1 + asked, strength)
        time.sleep(TRIAL_PAUSE)
        return None

    transcript.tell(f"version {version} is tried in the shadow of version {before}")
    transcript.until("the trial in the shadow", promoted, TRIAL_SECONDS, f"`modelyard shadow-report {model}` says what it waits for")
    transcript.end()
    trial = f", after {asked * TRIAL_ROWS} more rows in its trial" if asked else ""
    transcript.tell(f"version {version} serves in place of {before}{trial}: {transcript.seconds:.1f} s after the first drifted request")
    _asked(transcript, "after the promotion", send(gateway, model, AFTERWARDS, seed + 2 + asked, strength))


def _shown(gateway: Api, transcript: Transcript, model: str, version: str, since: dict[str, int]) -> None:
    from bentos import catalogue

    def proved() -> dict[str, Any] | None:
        entries: list[dict[str, Any]] = gateway.get(f"/models/{model}/ledger?limit=20")["entries"]
        row = next(one for one in entries if one["action"] == "promote" and one["to_version"] == version)
        return row if row["verification"] else None

    def told() -> list[dict[str, Any]] | None:
        page = gateway.get(f"/notifications?model={model}&limit={showing.FRESH}")["notifications"]
        fresh = [one for one in page if one["id"] > since["notifications"]][::-1]
        waiting = any(delivery["status"] == "waiting" for one in fresh for delivery in one["deliveries"])
        return fresh if any(one["event"] == "promoted" for one in fresh) and not waiting else None

    row = transcript.until("every replica's proof", proved, PROVED_SECONDS, f"modelyard ledger {model}")
    replicas = row["verification"]["replicas"]
    transcript.tell(
        f"{sum(one['version'] == version for one in replicas)} of {len(replicas)} replicas answer so, proved after {row['verification']['seconds']:.2f} s"
    )
    watch = catalogue.load().models[model].watch
    if watch is not None:
        transcript.tell(f"it is watched for {watch.minutes:g} minutes: errors, latency, a shift of its scores or costs roll it back")
    notifications = transcript.until("the notifications", told, TOLD_SECONDS, "`modelyard notify list` shows how each channel stands")
    shadow = gateway.get(f"/models/{model}/shadow?version={version}")
    transcript.documents["shadow"] = shadow
    showing.drift(transcript, transcript.documents["drift"])
    showing.gate(transcript, version, transcript.documents["training"]["result"]["verdict"])
    showing.shadow(transcript, shadow, (row["verdict"].get("shadow") or {}).get("judgement"))
    showing.ledger(gateway, transcript, model, since["ledger"])
    showing.told(transcript, notifications)
    if not any(one["deliveries"] for one in notifications):
        say("  → no channel is configured: docs/notifications.md shows how Discord, a webhook or e-mail gets them")
    transcript.table("Seconds", ["step", "#seconds"], [(name, f"{seconds:.1f}") for name, seconds in transcript.steps])
    say(f"  → `modelyard rollback {model}` goes back; `modelyard ledger {model}`, `shadow-report {model}`, `drift report {model}` show it again")


def _kept(gateway: Api, transcript: Transcript, model: str, version: str, drifted: Asked, out: Path) -> None:
    transcript.write(out)
    for name, path in ((f"{model}-{version}.pdf", f"/models/{model}/versions/{version}/report.pdf"), ("proof.zip", f"/predictions/{drifted.last}/proof")):
        with (out / name).open("wb") as file:
            gateway.download(path, file)
    say(f"  → {out}: transcript.md, {', '.join(f'{name}.json' for name in transcript.documents)}, {model}-{version}.pdf, proof.zip")
