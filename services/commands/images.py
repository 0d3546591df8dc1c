from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from services.cluster import images as built
from services.cluster import programs
from services.cluster.bento import Sources
from services.cluster.images import Built, Image, Wishes
from services.commands import access
from services.commands.output import table
from services.local.board import Board
from services.local.failure import Failure

AT_ONCE = 2


def images(
    names: Annotated[list[str] | None, typer.Argument(help="gateway, control, pipeline, mlflow, and models, for their runners; all of them without.")] = None,
    tag: Annotated[str, typer.Option(help="Of every image.")] = "dev",
    base: Annotated[str, typer.Option(help="The Python image that they stand on; one of a registry of your own, for instance.")] = built.BASE,
    version: Annotated[str | None, typer.Option(help="Bake this version of the one model named into its runner: it starts without control then.")] = None,
    control: Annotated[str | None, typer.Option(help="With --version: control's address; the platform's that runs here, or RUNNER_CONTROL_URL.")] = None,
    mlflow: Annotated[str | None, typer.Option(help="With --version: MLflow's address; likewise, or RUNNER_MLFLOW_URL.")] = None,
) -> None:
    """Build the container images, and show how large they are."""
    wanted = built.chosen(names or [])
    if version is not None and (len(wanted) != 1 or wanted[0].model is None):
        raise Failure("--version belongs to one model", "name the model whose version is to be baked in", code=2)
    programs.docker_answers()
    with Board() as board:
        done = build_all(wanted, Wishes(tag, base, version, _sources(control, mlflow) if version else Sources()), board)
    table(["image", "#MB over the base image"], [(one.reference, f"{one.megabytes:.0f}") for one in done])


def build_all(wanted: list[Image], wishes: Wishes, board: Board) -> list[Built]:
    """Two at a time: while one fetches, another compiles."""

    def one(image: Image) -> Built:
        name = f"image {image.name}"
        try:
            found = built.build(image, wishes, lambda step: board.show(name, "working", step))
        except Failure as failure:
            board.show(name, "failed", failure.message)
            raise
        board.show(name, "done", f"{found.megabytes:.0f} MB over {wishes.base}")
        return found

    for image in wanted:
        board.show(f"image {image.name}", "waiting")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, wanted))


def _sources(control: str | None, mlflow: str | None) -> Sources:
    """What is not said is taken from the platform that runs on this machine, if one does."""
    try:
        services = access.running()["services"]
    except Failure:
        return Sources(control, mlflow)
    return Sources(control or services["control"]["url"], mlflow or services["mlflow"]["url"])
