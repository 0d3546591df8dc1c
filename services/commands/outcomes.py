import io
import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, say, table

outcomes = typer.Typer(help="What really happened after a prediction.", no_args_is_help=True)


@outcomes.command("add")
def add(
    prediction: Annotated[str, typer.Argument(help="Id of the prediction.")],
    value: Annotated[float, typer.Argument(help="0 or 1 for a classification, the number for a regression.")],
    note: Annotated[str | None, typer.Option(help="For people.")] = None,
    as_document: AsJson = False,
) -> None:
    """Tell of one prediction; a second time corrects the first."""
    told = access.gateway().post(f"/predictions/{quote(prediction, safe='')}/outcome", {"value": value} | ({"note": note} if note else {}))
    if as_document:
        as_json(told)
    else:
        say(f"{told['prediction_id']}: {told['value']:g}{', which corrects what was told before' if told['corrects'] else ''}")


@outcomes.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV with the columns prediction_id, value and perhaps note.", exists=True, dir_okay=False)],
    as_document: AsJson = False,
) -> None:
    """Tell of many; exit code 1 when some of them could not be recorded."""
    answer = io.BytesIO()
    with file.open("rb") as body:
        access.gateway().stream("/predictions/outcomes", body, "text/csv", "application/json", answer)
    found = json.loads(answer.getvalue())
    if as_document:
        as_json(found)
    else:
        say(f"{found['recorded']} recorded, {found['corrected']} of them corrections; {len(found['rejected'])} rejected")
        if found["rejected"]:
            table(["#row", "prediction", "problem"], [(one["row"], one["prediction_id"], one["problem"]) for one in found["rejected"]])
    if found["rejected"]:
        raise typer.Exit(1)
