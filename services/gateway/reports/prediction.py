"""One prediction: what was asked, what was answered, why, and how to check it."""

from typing import Any

from reportlab.lib.colors import Color
from reportlab.platypus import Flowable, KeepTogether

from services.gateway.reports import charts
from services.gateway.reports.style import ACCENT, BAD, GOOD, WARN, moment, number, percent, plain, text
from services.gateway.reports.tables import facts, gap, listed, side_by_side

MOST_REASONS = 10
RISKS: dict[str, Color] = {"low": GOOD, "medium": WARN, "high": BAD}


def story(document: dict[str, Any]) -> tuple[list[Flowable], str, str]:
    """Flowables, kind and subject."""
    parts: list[Flowable] = [text(document["title"], "title"), text(document["summary"], "lead"), gap(6), _answer(document), gap(4)]
    parts += _reasons(document)
    parts += [text("Inputs", "section"), _inputs(document)]
    parts += _verification(document)
    return parts, f"Prediction · {document['title']}", f"Prediction {document['prediction_id']}"


def _answer(document: dict[str, Any]) -> Flowable:
    output = document["output"]
    about = facts(
        [
            ("Answered at", moment(document["created_at"])),
            ("Asked by", document["username"]),
            ("Model version", f"{document['model']}, version {document['model_version']}"),
            ("Policy version", "none" if document["policy_version"] is None else str(document["policy_version"])),
        ],
        4,
    )
    if "probability" not in output:
        shown = [(one["title"], plain(one["value"])) for one in document["outputs"]]
        return KeepTogether([text(shown[0][0], "label"), text(shown[0][1], "big", most=100), gap(4), facts(shown[1:], 3), gap(4), about])
    color = RISKS.get(output["risk_level"], ACCENT)
    probability, threshold, risk = output["probability"], document["threshold"], f"Risk level: {output['risk_level']}."
    words = [text("Decision", "label"), text(output["decision"].capitalize(), "big", color, 100)]
    if threshold is not None:
        side = "reaches" if probability >= threshold else "is below"
        risk = f"The probability of {percent(probability)} {side} the policy's threshold of {percent(threshold)}. {risk}"
    words.append(text(risk))
    said = document["probability_words"]
    top = side_by_side(words, [charts.gauge(probability, threshold, color), text(said, "small")], 0.62)
    return KeepTogether([top, gap(6), about])


def _inputs(document: dict[str, Any]) -> Flowable:
    inputs = document["inputs"]
    half = (len(inputs) + 1) // 2
    pairs = [(one["title"], _with_unit(one)) for one in inputs]
    rows = [[*pairs[place], *(pairs[place + half] if place + half < len(pairs) else ("", ""))] for place in range(half)]
    return listed(["Field", "Value", "Field", "Value"], rows, [26, 24, 26, 24])


def _with_unit(one: dict[str, Any]) -> str:
    return f"{plain(one['value'])} {one['unit']}" if one["unit"] and one["value"] is not None else plain(one["value"])


def _reasons(document: dict[str, Any]) -> list[Flowable]:
    explanation = document["explanation"]
    if explanation is None:
        return [text("Reasons", "section"), text(document["unexplained"])]
    found = [one for one in explanation["contributions"] if one["contribution"] != 0]
    shown = [(one["title"], _with_unit(one), one["contribution"]) for one in found]
    rest = shown[MOST_REASONS:]
    shown = shown[:MOST_REASONS]
    if rest:
        shown.append((f"{len(rest)} further fields", "", sum(part for *_, part in rest)))
    method = "exact TreeSHAP values" if explanation["method"] == "tree_shap" else "exact contributions of a linear model"
    # A higher probability is what a classification warns of; a higher price is neither good nor bad.
    colors = (ACCENT, WARN) if explanation["scale"] == "value" else (BAD, GOOD)
    intro = (
        f"{explanation['output_title']}: from the mean of the training, {number(explanation['base_value'])}, to {number(explanation['output'])} for this row. "
        f"The bars are {method} and add up to the difference."
    )
    return [KeepTogether([text("Reasons", "section"), text(intro), gap(4), charts.contributions(shown, *colors)])]


def _verification(document: dict[str, Any]) -> list[Flowable]:
    mono = {name: text(document[name], "mono") for name in ("prediction_id", "request_id", "batch_id", "fingerprint") if document[name]}
    ids = [("Prediction id", mono["prediction_id"]), ("Request id", mono["request_id"])]
    more = [("Batch", mono["batch_id"])] if "batch_id" in mono else []
    more.append(("Fingerprint of the audit's row (SHA-256)", mono["fingerprint"]))
    said = (
        "The audit keeps this row unchanged. GET /predictions/{prediction_id} gives the same inputs and answer, /explanation behind it the same reasons; "
        "docs/reports.md says how the fingerprint is made from them."
    )
    return [KeepTogether([text("How to verify", "section"), facts(ids, 2), facts(more, 1), text(said, "small")])]
