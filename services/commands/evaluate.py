from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import as_json, number, say, table
from services.local.failure import Failure

SUFFIXES = (".csv", ".csv.gz")


def evaluate(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Further files.", show_default=False)] = None,
    data: Annotated[list[str] | None, typer.Option("--data", help="Labelled files in the model's published form, or a folder of them.")] = None,
    as_document: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """Score labelled files with the version that serves, through the gateway, and measure the answers."""
    from services.commands.scoring import measure

    access.known_model(model)
    if not data:
        raise Failure("--data is needed", f"modelyard evaluate {model} --data FILE [FILE…]", code=2)
    document = measure(model, _files([*data, *(more or [])]), quiet=as_document)
    if as_document:
        as_json(document)
    else:
        _print(document)


def _files(given: list[str]) -> list[Path]:
    """In the order given; a folder stands for its files, sorted."""
    found: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.name.endswith(SUFFIXES))
            if not inside:
                raise Failure(f"{path} has no {' or '.join(SUFFIXES)} file", code=2)
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise Failure(f"there is no file {path}", code=2)
    return found


def _print(document: dict[str, Any]) -> None:
    policy = f", policy {document['policy_version']} (threshold {number(document['threshold'])})" if document["policy_version"] is not None else ""
    say(f"{document['model']}: version {document['model_version']}{policy} on {document['rows']} rows of {', '.join(document['files'])}\n")
    _table(document["metrics"], document["baseline"])
    for label, metrics in document["groups"].items():
        say(f"\n{label}")
        _table(metrics, {})
    if document["notes"]:
        say()
        for note in document["notes"]:
            say(f"note: {note}")


def _table(metrics: dict[str, Any], baseline: dict[str, Any]) -> None:
    rows = [(name, number(one["value"]), f"{number(one['low'])} – {number(one['high'])}", number(baseline.get(name))) for name, one in metrics.items()]
    table(
        ["metric", "#value", "#95 % interval", "#baseline"] if baseline else ["metric", "#value", "#95 % interval"],
        [row[: 4 if baseline else 3] for row in rows],
    )
