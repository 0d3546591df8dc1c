"""The results as Markdown: a table of the rounds for each mode, the numbers to reach, what was measured beside them, the machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.claims import Claim
from tests.bench.schedule import Results, Spread
from tests.bench.target import Window

COLUMNS = ("target", "c", "requests/s", "p50 ms", "p99 ms", "max ms", "CPU-ms a request", "PSS MB", "RSS MB")
NOISE = 0.25
"""Cores; more than that of foreign work in a window is said before anything else."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def number(value: float) -> str:
    """Three significant digits, and no fraction from 100 on."""
    size = abs(value)
    return f"{value:,.0f}".replace(",", " ") if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def spread(found: Spread | None) -> str:
    if found is None:
        return "–"
    return f"{number(found.median)} ({number(found.least)}–{number(found.most)})" if found.least != found.most else number(found.median)


def rounds(results: Results, mode: str, titles: Mapping[str, str]) -> str:
    """Medians over the rounds, with the least and the most."""
    figures = (
        lambda window: window.rps,
        lambda window: window.p50,
        lambda window: window.p99,
        lambda window: window.max,
        lambda window: window.cpu,
        lambda window: window.pss,
        lambda window: sum(window.rss_mb.values()),
    )
    rows = []
    for target, title in titles.items():
        for connections in sorted({one.connections for one in results.windows}):
            if not results.of(target, mode, connections):
                continue
            wrong = results.wrong(target, mode, connections)
            cells = [f"**invalid**: {wrong}"] + ["–"] * 6 if wrong else [spread(results.spread(figure, target, mode, connections)) for figure in figures]
            rows.append([title, str(connections), *cells])
    return table(COLUMNS, rows)


def split(results: Results, mode: str) -> str:
    """CPU of the full path and of the tutorial stack by kind of process: medians."""
    kinds = ("gateway", "runner", "postgres", "control")
    rows = []
    for target in ("ours", "tutorial"):
        for connections in sorted({one.connections for one in results.windows}):
            if results.of(target, mode, connections):
                cells = [results.median(lambda window, kind=kind: window.cpu_ms.get(kind, 0.0), target, mode, connections) for kind in kinds]  # type: ignore[misc]
                rows.append([target, str(connections), *("–" if cell is None else f"{cell:.3f}" for cell in cells)])
    return table(("CPU-ms a request", "c", *kinds), rows)


def noise(windows: Sequence[Window]) -> str:
    noisy = [one for one in windows if one.foreign > NOISE]
    if not noisy:
        return f"No window had more than {NOISE:.0%} of a core of work that was neither the target's nor wrk's."
    return (
        f"{len(noisy)} of {len(windows)} windows had more than {NOISE:.0%} of a core of work that was neither the target's nor wrk's "
        f"(up to {max(one.foreign for one in noisy):.0%}): the machine was busy, so no verdict below is worth much. Repeat it when nothing else runs."
    )


def claims(found: Sequence[Claim]) -> str:
    def limit(value: float | None, claim: Claim) -> str:
        return "" if value is None else f"{'≥' if claim.at_least else '≤'} {number(value)} {claim.unit}"

    def measured(claim: Claim) -> str:
        return "" if claim.measured is None else f"{number(claim.measured)} {claim.unit}"

    rows = [[claim.what, limit(claim.reach, claim), limit(claim.stretch, claim), measured(claim), claim.verdict] for claim in found]
    return table(("what", "reach", "stretch", "measured", "verdict"), rows)


def batches(found: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row in found:
        answered = row["status"] == 200
        time = f"{number(row['median'])} ({number(row['least'])}–{number(row['most'])})" if answered else f"refused ({row['status']})"
        each = number(row["median"] / row["rows"] * 1e6) if answered else ""
        rows.append([row["target"], f"{row['rows']:,}".replace(",", " "), number(row["bytes"] / 1e6), time, each])
    return table(("one JSON body of many rows", "rows", "MB", "seconds", "µs a row"), rows)


def machine(facts: Mapping[str, Any]) -> str:
    postgresql = facts.get("postgresql", {})
    lines = [
        f"{facts['date']}, {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['kernel']}, Python {facts['python']}, wrk {facts['wrk']}",
        f"database on {facts['disk']}, where writing and syncing 8 kB takes {facts['fdatasync_ms']} ms",
        "PostgreSQL " + ", ".join(f"{name.removeprefix('server_version')} {value}".strip() for name, value in postgresql.items()) if postgresql else "",
        ", ".join(f"{name} {version}" for name, version in facts["packages"].items()),
    ]
    return "\n".join(f"* {line}" for line in lines if line)


def page(document: Mapping[str, Any], results: Results, titles: Mapping[str, str], verdicts: Mapping[str, Sequence[Claim]]) -> str:
    parts = [machine(document["facts"])]
    options = document["options"]
    parts.append(
        f"{options['rounds']} rounds, windows of {options['seconds']} s, after {options['warm_up']} s of warm-up. Median (least–most) over the rounds."
    )
    if results.windows:
        parts.append(noise(results.windows))
    for mode, found in verdicts.items():
        parts += [f"### Numbers to reach, {mode}", claims(found)]
    if results.windows:
        for mode in verdicts:
            parts += [f"### One row a request, {mode}", rounds(results, mode, titles), split(results, mode)]
    if document.get("batches"):
        parts += ["### Many rows a request", batches(document["batches"])]
    parts += ["### Beside the rounds", *(f"* {line}" for line in document["said"])] if document["said"] else []
    parts += [f"Left out: {words}" for words in document["skipped"]]
    return "\n\n".join(parts).replace("\n\n* ", "\n* ") + "\n"
