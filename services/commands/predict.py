import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import typer

from services.commands import access
from services.commands.output import as_json
from services.local.api import Api
from services.local.failure import Failure

TABLES = {".csv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet"}
ANSWERS = {suffix: media for suffix, media in TABLES.items() if suffix != ".parquet"} | {".json": "application/json"}
MOST_PARSED = 1024 * 1024
"""Bytes of a JSON file that is looked into, because it may be a single row; a longer one is many rows."""


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[
        str | None,
        typer.Option(help="A file of rows (.csv, .ndjson, .jsonl, .parquet), a JSON file or - for JSON on standard input: a row, a list, or `rows`."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers go, in the form of its ending: .csv, .ndjson, .jsonl or .json.")] = None,
    on_error: Annotated[Literal["fail", "skip"], typer.Option(help="Refuse all rows when one is bad, or answer the good ones.")] = "fail",
    example: Annotated[bool, typer.Option("--example", help="Send the model's own example, as without --data; also prints it.")] = False,
) -> None:
    """Ask for predictions."""
    access.known_model(model)
    if data is not None and example:
        raise Failure("--data and --example exclude each other", code=2)
    if output is not None and output.suffix not in ANSWERS:
        raise Failure(f"--output must end with one of {', '.join(ANSWERS)}", code=2)
    if data is None:
        sent = _example(model)
        answer = access.gateway().post(f"/predict/{model}", sent)
        as_json({"input": sent, "answer": answer} if example else answer)
    elif data == "-":
        _ask(access.gateway(), model, _parsed(data, sys.stdin.read()), output, on_error)
    else:
        send(access.gateway(), model, Path(data), output, on_error)


def send(gateway: Api, model: str, path: Path, output: Path | None, on_error: str = "fail") -> None:
    """The rows of a file, and the answers to another or to standard output."""
    try:
        with path.open("rb") as file:
            if path.suffix in TABLES:
                _stream(gateway, model, file, TABLES[path.suffix], output, on_error)
            elif path.stat().st_size > MOST_PARSED:
                _stream(gateway, model, file, "application/json", output, on_error)
            else:
                _ask(gateway, model, _parsed(str(path), file.read().decode(errors="replace")), output, on_error)
    except OSError as error:
        raise Failure(f"{error.filename or path} cannot be read or written: {error.strerror}", code=2) from None


def _example(model: str) -> dict[str, Any]:
    from bentos.schemas import schema

    return schema(model).EXAMPLE


def _parsed(data: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"{'standard input' if data == '-' else data} is not JSON: {error}", code=2) from None


def _ask(gateway: Api, model: str, sent: Any, output: Path | None, on_error: str) -> None:
    if isinstance(sent, list) or (isinstance(sent, dict) and set(sent) == {"rows"}):
        answer = gateway.post(f"/predict/{model}/batch?on_error={on_error}", sent)
    else:
        answer = gateway.post(f"/predict/{model}", sent)
    if output is None:
        as_json(answer)
    elif output.suffix == ".json":
        with whole(output) as into:
            into.write(json.dumps(answer).encode())
    else:
        raise Failure("an answer to JSON is written as .json", "rows in a .csv or .ndjson file can be answered in every form", code=2)


def _stream(gateway: Api, model: str, file: IO[bytes], media: str, output: Path | None, on_error: str) -> None:
    """From file to file, whatever their size."""
    path = f"/predict/{model}/batch?on_error={on_error}"
    if output is None:
        headers = gateway.stream(path, file, media, "*/*", sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with whole(output) as into:
            headers = gateway.stream(path, file, media, ANSWERS[output.suffix], into)
    if failed := int(headers.get("X-Rows-Failed", "0")):
        typer.echo(f"modelyard: {failed} row{'s were' if failed > 1 else ' was'} not answered; the answer says why", err=True)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there only once it is complete."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
