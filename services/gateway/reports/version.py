"""The card of a model version: data, metrics, curves, threshold, importance, limits, verdict, ledger."""

from typing import Any

from reportlab.platypus import Flowable, KeepTogether

from services.gateway.reports import charts
from services.gateway.reports.style import ACCENT, BAD, GOOD, MUTED, WIDTH, fixed, moment, number, percent, text
from services.gateway.reports.tables import facts, gap, listed, side_by_side

WORDS = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "cost_per_row": "Cost per row",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "rmse_ratio": "RMSE / naive RMSE",
    "direction": "Direction right",
}
BY_GROUP = ("roc_auc", "brier", "cost_per_row", "rmse_ratio", "direction")
MOST_IMPORTANT, MOST_ENTRIES, MOST_ROWS = 12, 10, 20


def story(document: dict[str, Any]) -> tuple[list[Flowable], str, str]:
    """Flowables, kind and subject."""
    version, metrics = document["version"], document["version"]["metrics"]
    parts: list[Flowable] = [
        text(f"{document['title']}, version {version['version']}", "title"),
        text(document["summary"], "lead"),
        gap(10),
        facts(
            [
                ("Registered", moment(version["created_at"])),
                ("Serves", "yes, as champion" if version["champion"] else "no"),
                ("Owner", document["owner"]),
                ("Data", version["source"]),
                ("Hold-out rows", number((metrics.get("holdout") or {}).get("rows"))),
                ("Engine", version["engine"]),
            ],
            3,
        ),
        facts([("Hash of the data", text(version["data_hash"], "mono")), ("Hash of the files (SHA-256)", text(version["sha256"], "mono"))], 1),
    ]
    parts += _metrics(metrics) + _curves(metrics, version["policy"]) + _importance(metrics) + _verdict(version["verdict"])
    if document["limits"]:
        parts += [text("Limits", "section"), *(text(f"•  {line}") for line in document["limits"])]
    parts += _ledger(document["ledger"])
    return parts, f"Model card · {document['title']}", f"{document['title']}, version {version['version']}"


def _metrics(metrics: dict[str, Any]) -> list[Flowable]:
    holdout = metrics.get("holdout") or {}
    baseline = holdout.get("baseline") or {}

    def row(name: str, one: dict[str, Any]) -> list[str]:
        words = WORDS.get(name, name.replace("_", " ").capitalize())
        return [words, fixed(one["value"]), f"{fixed(one['low'])} … {fixed(one['high'])}", fixed(baseline.get(name))]

    rows = [row(name, one) for name, one in (holdout.get("metrics") or {}).items()]
    if not rows:
        return [text("Metrics", "section"), text("This version was registered without any.")]
    table = listed(["On the hold-out", "#Value", "#95 % interval", "#Trivial answer"], rows, [34, 18, 28, 20])
    remarks = [text(f"•  {one}", "small") for one in (metrics.get("remarks") or [])[:MOST_ROWS]]
    return [text("Metrics", "section"), table, *([gap(4), *remarks] if remarks else []), *_groups(metrics.get("groups") or {})]


def _groups(groups: dict[str, dict[str, Any]]) -> list[Flowable]:
    """Whom the model serves worse: read beside the interval."""
    names = [name for name in BY_GROUP if any(name in measured for measured in groups.values())]
    rows = [[label, *(_with_interval(measured.get(name)) for name in names)] for label, measured in list(groups.items())[:MOST_ROWS]]
    if not rows:
        return []
    table = listed(["Group", *(f"#{WORDS[name]} (95 % interval)" for name in names)], rows, [22, *([26] * len(names))])
    return [KeepTogether([text("By group", "section"), table])]


def _with_interval(one: dict[str, Any] | None) -> str:
    return "–" if one is None else f"{number(one['value'], 3)}  ({number(one['low'], 3)} … {number(one['high'], 3)})"


def _curves(metrics: dict[str, Any], policy: dict[str, Any] | None) -> list[Flowable]:
    curves, calibration = metrics.get("curves") or {}, metrics.get("calibration") or []
    drawn: list[Flowable] = []
    if curves.get("roc"):
        plot = charts.Plot("ROC curve", "false alarms among negatives", "found positives", (0, 1, 0, 1))
        points = [(one["false_alarms"], one["found"]) for one in curves["roc"]]
        drawn.append(plot.line([(0, 0), (1, 1)], MUTED, dashed=True).line(points).drawing)
    if calibration:
        top = charts.nice(max(max(one["predicted"], one["observed"]) for one in calibration))
        plot = charts.Plot("Calibration", "predicted probability (tenths of the rows)", "observed share", (0, top, 0, top))
        drawn.append(plot.line([(0, 0), (top, top)], MUTED, dashed=True).line([(one["predicted"], one["observed"]) for one in calibration], dots=True).drawing)
    if curves.get("threshold"):
        found = curves["threshold"]
        # Beyond it nothing is decided any more: everything would be squeezed into the left of the plot.
        right = charts.nice(max((one["threshold"] for one in found if one["positive"] > 0), default=1.0))
        shown = [one for one in found if one["threshold"] <= right]
        cost = charts.Plot("Cost by threshold", "decision threshold", "cost per row", (0, right, 0, charts.nice(max(one["cost_per_row"] for one in shown))))
        share = charts.Plot("Positive decisions by threshold", "decision threshold", "share of the rows", (0, right, 0, 1))
        cost.line([(one["threshold"], one["cost_per_row"]) for one in shown])
        share.line([(one["threshold"], one["positive"]) for one in shown])
        if policy is not None:
            for plot in (cost, share):
                plot.mark(policy["threshold"], percent(policy["threshold"]))
        drawn += [cost.drawing, share.drawing]
    if curves.get("errors"):
        bins = curves["errors"]
        top = charts.nice(max(max(one["rows"], one["baseline_rows"]) for one in bins))
        title, limits = "Errors relative to the truth: model (columns), trivial answer (line)", (bins[0]["from"], bins[-1]["to"], 0, top)
        plot = charts.Plot(title, "error", "rows", limits, WIDTH, 170)
        plot.columns([(one["from"], one["to"], one["rows"]) for one in bins], ACCENT)
        plot.line([((one["from"] + one["to"]) / 2, one["baseline_rows"]) for one in bins], BAD)
        drawn.append(plot.drawing)
    if not drawn:
        return []
    words = [] if policy is None else [_policy(policy), gap(4)]
    pairs = [drawn[place : place + 2] for place in range(0, len(drawn), 2)]
    rows = [side_by_side(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return [KeepTogether([text("Curves", "section"), *words, rows[0]]), *(part for row in rows[1:] for part in (gap(6), row))]


def _policy(policy: dict[str, Any]) -> Flowable:
    costs = policy["costs"]
    said = (
        f"Policy suggested by the training: positive from {percent(policy['threshold'])} on, where a missed positive costs {number(costs['missed_positive'])} "
        f"and a false alarm {number(costs['false_alarm'])}."
    )
    return text(said, "small")


def _importance(metrics: dict[str, Any]) -> list[Flowable]:
    found = [one for one in metrics.get("importance") or [] if one["loss"] > 0][:MOST_IMPORTANT]
    if not found:
        return []
    said = "Loss of quality on the hold-out when the values of one feature are shuffled (ROC AUC, or RMSE over naive RMSE)."
    parts = [(one.get("title", one["feature"]), one["loss"], number(one["loss"])) for one in found]
    return [KeepTogether([text("What the model looks at", "section"), text(said, "small"), gap(4), charts.bars(parts, WIDTH, 300)])]


def _verdict(verdict: dict[str, Any] | None) -> list[Flowable]:
    if verdict is None:
        return [text("Gate", "section"), text("The gate has not judged this version yet.")]
    marks = {True: text("passed", "cell", GOOD), False: text("failed", "cell", BAD)}
    rows = [[marks[rule["passed"]], rule["rule"].replace("_", " "), rule["words"]] for rule in verdict["rules"]]
    head = text("Passed: it may serve." if verdict["passed"] else "Not passed: it serves only if somebody insists.", "body", GOOD if verdict["passed"] else BAD)
    return [text("Gate", "section"), head, gap(4), listed(["", "Rule", "What was measured"], rows, [10, 22, 68])]


def _ledger(entries: list[dict[str, Any]]) -> list[Flowable]:
    if not entries:
        return [text("Ledger", "section"), text("This version has never served.")]
    rows = [
        [moment(one["created_at"]), one["action"], f"{one['from_version'] or 'none'} to {one['to_version']}", one["actor"], one["reason"]]
        for one in entries[:MOST_ENTRIES]
    ]
    more = [text(f"and {len(entries) - MOST_ENTRIES} earlier ones", "small")] if len(entries) > MOST_ENTRIES else []
    return [text("Ledger", "section"), listed(["When", "What", "Version", "Who", "Why"], rows, [25, 12, 13, 16, 34]), *more]
