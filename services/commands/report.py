from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import say
from services.commands.predict import whole
from services.local.api import Api

Out = Annotated[Path | None, typer.Option(help="Where the PDF goes; by default a name of its own in this folder.")]
report = typer.Typer(help="Reports as PDF: of a prediction, a batch, a model version.", no_args_is_help=True)


@report.command()
def prediction(prediction_id: Annotated[str, typer.Argument(help="Its id, as in the answer.")], out: Out = None) -> None:
    """Inputs, decision, reasons and how to verify them."""
    save(access.gateway(), f"/predictions/{_part(prediction_id)}/report.pdf", out or Path(f"prediction-{prediction_id}.pdf"))


@report.command()
def batch(batch_id: Annotated[str, typer.Argument(help="Its id, as in X-Batch-ID.")], out: Out = None) -> None:
    """Decisions, scores, failed rows."""
    save(access.gateway(), f"/predict/batches/{_part(batch_id)}/report.pdf", out or Path(f"batch-{batch_id}.pdf"))


@report.command()
def version(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    number: Annotated[str, typer.Argument(metavar="VERSION", help="A registered version.")],
    out: Out = None,
) -> None:
    """The card of a version: data, metrics, curves, importance, limits, verdict, ledger."""
    access.known_model(model)
    save(access.gateway(), f"/models/{model}/versions/{_part(number)}/report.pdf", out or Path(f"{model}-{number}.pdf"))


def _part(given: str) -> str:
    return quote(given, safe="")


def save(gateway: Api, path: str, out: Path) -> None:
    """The file is there only once it is whole."""
    with whole(out) as file:
        gateway.download(path, file)
    say(str(out))
