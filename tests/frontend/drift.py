"""Reports on drift and live performance, in the shapes of the gateway."""

from datetime import UTC, datetime, timedelta
from typing import Any


def _now(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).isoformat()


def _feature(name: str, psi: float, verdict: str, words: str) -> dict[str, Any]:
    known = {"rows": 900, "missing": 0.02, "reference_missing": 0.01, "psi": psi, "ks": 0.2, "wasserstein": 0.5, "chi2": None, "unseen": None}
    bins = {"edges": [10.0, 20.0], "reference": [0.3, 0.4, 0.3], "now": [0.1, 0.3, 0.6]}
    chance = {"out_of_range": 0.0, "p_value": 1e-9, "p_adjusted": 1e-8, "tests": []}
    return {"feature": name, "kind": "number", "verdict": verdict, "words": words, "bins": bins, **known, **chance}


def report(number: int, *, alarm: bool) -> dict[str, Any]:
    grade = {"kind": "category", "bins": {"names": ["a", "b", "other"], "reference": [0.5, 0.5, 0.0], "now": [0.5, 0.4, 0.1]}}
    income = _feature("income", 0.41, "drift", "PSI 0.41 is over 0.2") if alarm else _feature("income", 0.01, "ok", "")
    few = _feature("age", 0.0, "too_few", "too few values") | {"psi": None, "bins": {}, "p_value": None, "p_adjusted": None}
    return {
        "id": number,
        "created_at": _now(timedelta(hours=10 - number)),
        "version": "1",
        "window": {"from": _now(timedelta(days=2)), "to": _now(), "rows": 900},
        "policy": {"psi": 0.2},
        "features": [income, _feature("grade", 0.02, "ok", "") | grade, few],
        "score": _feature("score", 0.03, "ok", ""),
        "tests": 9,
        "performance": None,
        "alarm": alarm,
        "words": "income drifted: 1 of 4 in 900 rows" if alarm else "no drift in 900 rows",
    }


def performance(model: str) -> dict[str, Any]:
    auc = {"value": 0.71, "low": 0.66, "high": 0.76}
    part = {"rows": 300, "metrics": {"roc_auc": auc}, "baseline": {}, "calibration": None, "confusion": None}
    days = [part | {"day": f"2026-11-{day}", "answered": 400} for day in (20, 21)] + [part | {"day": "2026-11-22", "answered": 9, "rows": 3, "metrics": {}}]
    segments = [part | {"field": "purpose", "segment": "car"}, part | {"field": "purpose", "segment": "house", "rows": 12, "metrics": {}}]
    verdict = {"verdict": "ok", "words": "ROC AUC 0.710 instead of 0.770 on the hold-out, from 603 outcomes"}
    version = {
        **part,
        "version": "1",
        "rows": 603,
        "answered": 809,
        "confusion": {"hits": 40, "missed": 20, "false_alarms": 60, "passed": 483},
        "days": days,
        "segments": segments,
        "holdout": {"roc_auc": {"value": 0.77, "low": 0.74, "high": 0.80}},
        "drift": verdict,
    }
    common = {"id": 1, "created_at": _now(), "champion": "1", "days": 30, "rows": 603, "answered": 809, "alarm": False, "words": verdict["words"]}
    return common | {"versions": [version] if model == "loans" else []}
