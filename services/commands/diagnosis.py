"""What `modelyard doctor` looks at."""

import importlib.metadata
import json
import re
import tomllib
from collections import Counter
from typing import Any

from services.local import files, ports, state
from services.local.api import Api
from services.local.paths import ROOT, home
from services.local.status import status
from services.local.steps.environment import Check, checks

RECENT_LINES = 400
BAD = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC|Traceback)\b")


def diagnose() -> list[Check]:
    found = status(home())
    return [*checks(home()), _versions(), *_processes(found), *_ports(found), *_database(found), *_models(found), *_logs(found)]


def _versions() -> Check:
    """The installed packages against the lock file."""
    locked: dict[str, set[str]] = {}  # one package may be locked differently for different Pythons
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]:
        locked.setdefault(package["name"], set()).add(package.get("version", ""))
    different = []
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name in locked and distribution.version not in locked[name]:
            different.append(f"{name} {distribution.version} instead of {' or '.join(sorted(locked[name]))}")
    if different:
        return Check("packages", "warning", "; ".join(different[:5]), "run `make up` or `uv sync --locked`: the environment is not the one of uv.lock")
    return Check("packages", "ok", "as uv.lock says")


def _processes(found: dict[str, Any]) -> list[Check]:
    if not found["running"]:
        return [Check("platform", "warning", "not running", "start it with `make up`")]
    results = []
    for name, one in found["services"].items():
        level, advice = ("ok", "") if one["ready"] else ("problem", f"see `modelyard logs {name}`")
        if one["ready"] and one["restarts"]:
            level, advice = "warning", f"it was restarted {one['restarts']} times: see `modelyard logs {name}`"
        results.append(Check(name, level, f"{'ready' if one['ready'] else one['phase']}, {one['rss_mb']} MB", advice))  # type: ignore[arg-type]
    return results


def _ports(found: dict[str, Any]) -> list[Check]:
    """Only a platform that is down needs its ports free; a taken one is replaced at the next start."""
    if found["running"]:
        return []
    try:
        remembered = state.load(home()).ports
    except ValueError as error:
        return [Check("state", "problem", str(error), "restore the file, or `modelyard down --erase` to begin anew")]
    taken = [f"{port} ({name})" for name, port in remembered.items() if not ports.is_free(port)]
    if taken:
        return [Check("ports", "warning", f"taken by others: {', '.join(taken)}", "the next start uses other ports; free these to keep the addresses")]
    return [Check("ports", "ok", "free")]


def _database(found: dict[str, Any]) -> list[Check]:
    if not found["running"]:
        return []
    import psycopg

    from services.local.steps.database import ensure, words

    try:
        return [Check("database", "ok", f"PostgreSQL {ensure(found['database_url'], patience=0)} answers")]
    except (psycopg.Error, RuntimeError) as error:
        return [Check("database", "problem", words(error), "see `modelyard logs postgres`, or start the server of DATABASE_URL")]


def _models(found: dict[str, Any]) -> list[Check]:
    if not found["running"] or not found["services"]["control"]["ready"]:
        return []
    results = []
    for model in Api("control", found["services"]["control"]["url"]).get("/models")["models"]:
        name = f"model {model['name']}"
        refused = [f"{replica['replica']} refuses version {one['version']}: {one['reason']}" for replica in model["replicas"] for one in replica["refused"]]
        if model["champion"] is None:
            results.append(Check(name, "problem", "has no version that serves", f"`modelyard train {model['name']}`"))
        elif refused:
            results.append(Check(name, "problem", refused[0], f"`modelyard rollback {model['name']}`, or train and promote another version"))
        else:
            results.append(Check(name, "ok", f"version {model['champion']['version']} serves"))
    return results


def _logs(found: dict[str, Any]) -> list[Check]:
    """Errors among the last lines of each log since the supervisor began."""
    counts: Counter[str] = Counter()
    for path in sorted(home().logs.glob("*.log")):
        counts[path.stem] = sum(_is_error(line) for line in files.tail(path, RECENT_LINES))
    bad = [f"{name}: {count}" for name, count in counts.items() if count]
    if not bad:
        return [Check("logs", "ok", "no errors in the last lines")]
    level = "warning" if found["running"] else "ok"
    return [Check("logs", level, f"error lines: {', '.join(bad)}", f"`modelyard logs {next(iter(+counts))}`")]  # type: ignore[arg-type]


def _is_error(line: str) -> bool:
    if line.startswith("{"):
        try:
            return json.loads(line).get("level") in ("ERROR", "CRITICAL")
        except ValueError:
            return False
    return bool(BAD.search(line))
