from typing import Annotated, Literal

import typer

from bentos import catalogue
from services.cluster import programs
from services.cluster.place import Place
from services.cluster.release import COLOURS, Release, other
from services.commands.output import say, table
from services.local.failure import Failure

release = typer.Typer(no_args_is_help=True, add_completion=False, help="Blue and green of a model's runner on a cluster: what answers, switch, switch back.")

Model = Annotated[str, typer.Argument(help="A model whose runner has the strategy bluegreen.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Where the platform is.")]
Context = Annotated[str | None, typer.Option(help="Of KUBECONFIG; the current one unless given.")]


@release.command()
def status(model: Model, namespace: Namespace = "modelyard", context: Context = None) -> None:
    """Show both colours: image, pods, what each serves, and whether the idle one could take over."""
    state = _of(model, namespace, context).state()
    rows = []
    for colour in COLOURS:
        side = state.side(colour)
        trouble = side.trouble(state.side(state.active))
        served = sorted({f"{pod.version}" + (f" (policy {pod.policy})" if pod.policy else "") for pod in side.pods if pod.version is not None})
        role = "answers" if colour == state.active else "idle"
        restarts = sum(pod.restarts for pod in side.pods)
        rows.append((colour, role, side.image, f"{side.ready}/{side.wanted}", ", ".join(served) or "none", restarts, trouble or "healthy"))
    table(["colour", "", "image", "#ready", "#version", "#restarts", "health"], rows)
    if state.previous and state.switched_at:
        say(f"\nswitched from {state.previous} at {state.switched_at}; `modelyard release undo {model}` switches back")


@release.command()
def switch(
    model: Model,
    to: Annotated[Literal["blue", "green"] | None, typer.Option(help="The colour that is to answer; the idle one unless given.")] = None,
    namespace: Namespace = "modelyard",
    context: Context = None,
) -> None:
    """Let the other colour answer, if it is healthy, and wait until every gateway has followed."""
    found = _of(model, namespace, context)
    found.switch(to or other(found.state().active), say)


@release.command()
def undo(model: Model, namespace: Namespace = "modelyard", context: Context = None) -> None:
    """Take the last switch back."""
    found = _of(model, namespace, context)
    state = found.state()
    if state.previous is None:
        raise Failure(f"{found.name} has never been switched", f"`modelyard release switch {model}` does")
    if state.previous == state.active:
        raise Failure(f"{state.active} answers as before the last switch", f"`modelyard release switch {model}` switches again")
    found.switch(state.previous, say)


def _of(model: str, namespace: str, context: str | None) -> Release:
    programs.need("kubectl", "helm")
    if model not in catalogue.names():
        raise Failure(f"there is no model {model!r}", f"the models are {', '.join(catalogue.names())}", code=2)
    return Release(model, Place(namespace, context))
