"""A batch: how many rows, what was decided, how the scores lie."""

from typing import Any

from reportlab.platypus import Flowable

from services.gateway.reports import charts
from services.gateway.reports.style import WIDTH, moment, number, percent, text
from services.gateway.reports.tables import facts, gap, listed


def story(document: dict[str, Any]) -> tuple[list[Flowable], str, str]:
    """Flowables, kind and subject."""
    rows = document["rows"]
    versions = ", ".join(document["model_versions"])
    parts: list[Flowable] = [
        text(f"{document['title']}: batch of {number(rows)} row{'s' if rows != 1 else ''}", "title"),
        text(document["summary"], "lead"),
        gap(10),
        facts(
            [
                ("Answered at", moment(document["created_at"])),
                ("Asked by", document["username"]),
                ("Model version", f"{document['model']}, version {versions}"),
                ("Policy version", ", ".join(map(str, document["policy_versions"])) or "none"),
                ("Rows answered", number(rows)),
                ("Rows failed", _failed(document["failed"])),
            ],
            3,
        ),
    ]
    if document["decisions"]:
        parts += [text("Decisions", "section"), _decisions(document)]
    parts += [text("Scores", "section"), *_scores(document)]
    if document["failed"]["count"]:
        parts += [text("Failed rows", "section"), text(_positions(document["failed"]))]
    said = "GET /predict/batches/{batch_id}/rows.csv has every row with its inputs, answer and prediction id; each of them is a row of the audit."
    parts += [text("How to verify", "section"), facts([("Batch id", text(document["batch_id"], "mono"))], 1), text(said, "small")]
    return parts, f"Batch · {document['title']}", f"Batch {document['batch_id']}"


def _failed(failed: dict[str, Any]) -> str:
    return number(failed["count"]) if failed["count"] else "none"


def _positions(failed: dict[str, Any]) -> str:
    listing = ", ".join(map(number, failed["positions"]))
    more = " and further ones" if failed["count"] > len(failed["positions"]) else ""
    return f"Positions in the file, from 0: {listing}{more}. They broke a rule of the schema; the answer to the upload says which."


def _decisions(document: dict[str, Any]) -> Flowable:
    found = sorted(document["decisions"].items(), key=lambda pair: -pair[1])
    shares = [(name.capitalize(), float(count), f"{number(count)}  ({percent(count / document['rows'])})") for name, count in found]
    return charts.bars(shares, WIDTH * 0.72, 90)


def _scores(document: dict[str, Any]) -> list[Flowable]:
    histogram = document["histogram"]
    if not histogram:
        return [text("There is no score to show.")]
    bins = [(one["from"], one["to"], float(one["rows"])) for one in histogram]
    top = charts.nice(max(value for *_, value in bins))
    plot = charts.Plot("Rows by score", document["score_words"], "rows", (bins[0][0], bins[-1][1], 0, top), WIDTH, 190).columns(bins)
    if document["threshold"] is not None:
        plot.mark(document["threshold"], f"threshold {percent(document['threshold'])}")
    scores = document["scores"]
    table = listed(["#Least", "#Mean", "#Largest"], [[number(scores[name]) for name in ("min", "mean", "max")]], [1, 1, 1])
    return [plot.drawing, gap(6), table]
