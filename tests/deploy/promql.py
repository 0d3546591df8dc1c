"""As much of PromQL as it takes to know which metrics and labels an expression uses."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.deploy.chart import CHART, ROOT

ALERTS = sorted((CHART / "monitoring/alerts").glob("*.yaml"))
DASHBOARDS = sorted((CHART / "monitoring/dashboards").glob("*.json"))

OF_TARGETS = frozenset({"namespace", "job", "instance", "model"})
"""Prometheus adds them."""
FOREIGN = {
    "up": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "kubelet_volume_stats_available_bytes": frozenset({"persistentvolumeclaim"}),
    "kubelet_volume_stats_capacity_bytes": frozenset({"persistentvolumeclaim"}),
}
"""Nobody of ours exports them."""
WORDS = frozenset({"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"})
TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*")|(?P<range>\[[^\]]*\])|(?P<name>[a-zA-Z_:][\w:]*)|(?P<number>[0-9.]+[a-z]*)|(?P<other>\s+|=~|!~|!=|==|>=|<=|.)""",
    re.DOTALL,
)


class Selector(NamedTuple):
    metric: str
    matchers: dict[str, str]
    """Label → value, whatever the operator."""


class Used(NamedTuple):
    selectors: list[Selector]
    labels: set[str]
    """In `by`, `on` and the like."""


def used(expression: str) -> Used:
    tokens = [(match.lastgroup, match[0]) for match in TOKEN.finditer(expression) if match[0].strip()]
    selectors: list[Selector] = []
    labels: set[str] = set()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text in WORDS:
            if following == "(" and text in {"by", "without", "on", "ignoring", "group_left", "group_right"}:
                end = tokens.index(("other", ")"), at)
                labels |= {label for _, label in tokens[at + 2 : end] if label != ","}
                at = end
        elif kind == "name" and following not in {"(", "by", "without"}:
            matchers: dict[str, str] = {}
            if following == "{":
                end = tokens.index(("other", "}"), at)
                inside = [token for token in tokens[at + 2 : end] if token[1] != ","]
                for (_, label), _, (_, value) in zip(inside[::3], inside[1::3], inside[2::3], strict=True):
                    matchers[label] = json.loads(value)
                at = end
            selectors.append(Selector(text, matchers))
        at += 1
    return Used(selectors, labels)


@cache
def known() -> dict[str, frozenset[str]]:
    """Every series name there is, with its own labels: what docs/metrics.yaml lists, what our rules record, and the foreign ones."""
    found = dict(FOREIGN)
    for entry in yaml.safe_load((ROOT / "docs/metrics.yaml").read_text()):
        labels = frozenset(entry.get("labels", ()))
        if entry["type"] == "histogram":
            found |= {f"{entry['name']}_bucket": labels | {"le"}, f"{entry['name']}_sum": labels, f"{entry['name']}_count": labels}
        else:
            found[entry["name"]] = labels
    return found | {rule["record"]: frozenset[str]() for _, rule in rules() if "record" in rule}


def rules() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in ALERTS:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path, rule


def dashboard(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def expressions() -> Iterator[tuple[str, str]]:
    """`dashboard / panel / letter` and the expression."""
    for path in DASHBOARDS:
        for panel in dashboard(path)["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem} / {panel['title']} / {target['refId']}", target["expr"]
