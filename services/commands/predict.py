import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import as_json
from services.local.failure import Failure


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[str | None, typer.Option(help="A JSON file, or - for standard input: one row, a list of rows, or an object with `rows`.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Send the model's own example, as without --data; also prints it.")] = False,
) -> None:
    """Ask for a prediction."""
    access.known_model(model)
    if data is not None and example:
        raise Failure("--data and --example exclude each other", code=2)
    sent = _example(model) if data is None else _read(data)
    gateway = access.gateway()
    if isinstance(sent, list) or (isinstance(sent, dict) and set(sent) == {"rows"}):
        answer = gateway.post(f"/predict/{model}/batch", {"rows": sent} if isinstance(sent, list) else sent)
    else:
        answer = gateway.post(f"/predict/{model}", sent)
    as_json({"input": sent, "answer": answer} if example else answer)


def _example(model: str) -> dict[str, Any]:
    from bentos.schemas import schema

    return schema(model).EXAMPLE


def _read(data: str) -> Any:
    try:
        text = sys.stdin.read() if data == "-" else Path(data).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise Failure(f"{data} cannot be read: {error.strerror}", code=2) from None
    except ValueError as error:
        raise Failure(f"{'standard input' if data == '-' else data} is not JSON: {error}", code=2) from None
