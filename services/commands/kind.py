import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bentos import catalogue
from services.cluster import argo, chart, kubernetes, loading, programs
from services.cluster import images as built
from services.cluster.images import Image, Wishes
from services.cluster.kubernetes import CONTEXT, NAME, PLATFORM
from services.commands.first_prediction import curl_that_works
from services.commands.images import build_all
from services.commands.output import console, say
from services.local.api import Api, Refused
from services.local.board import Board
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR
from services.local.steps import training

GATEWAY = "http://127.0.0.1:30080"
DASHBOARD = "http://127.0.0.1:30081"
"""The NodePorts of charts/modelyard/values/kind.yaml, which k8s/kind.yaml maps to this machine."""
SERVING_SECONDS = 60.0
KUBECTL = f"kubectl --context {CONTEXT} -n {PLATFORM.namespace}"
HINT = f"`{KUBECTL} get pods` shows what runs, `make kind` brings it up"

Values = Annotated[
    list[Path] | None,
    typer.Option("--values", "-f", exists=True, dir_okay=False, resolve_path=True, help="A further file of values for the chart; repeatable."),
]


def kind(values: Values = None) -> None:
    """Bring the whole platform up on a local Kubernetes cluster, train what has never been trained, and say how to use it."""
    programs.docker_answers()
    programs.need("kind", "kubectl", "helm")
    try:
        with Board() as board:
            _cluster(board)
            _argo(board)
            chart.apply(chart.image_values(_images(board)), values or (), board)
            password = PLATFORM.secret("modelyard", "admin-password")
            with _control() as control:
                training.first_training(control, board, ADMINISTRATOR)
            gateway = _gateway(password)
            _serving(board, gateway)
            curl = curl_that_works(board, gateway)
            seconds = board.seconds
    except KeyboardInterrupt:
        raise Failure("interrupted; what has been started goes on", "`make kind` looks again, `make kind-down` removes the cluster", code=130) from None
    _panel(curl, password, seconds)


def _cluster(board: Board) -> None:
    board.show("cluster", "working", "kind get clusters")
    if not kubernetes.exists():
        board.show("cluster", "working", "kind create cluster; the first time it fetches Kubernetes")
        kubernetes.create()
    kubernetes.answers()
    board.show("cluster", "done", f"context {CONTEXT}")


def _argo(board: Board) -> None:
    board.show("argo workflows", "working")
    if argo.installed():
        board.show("argo workflows", "done", "it is there")
        return
    board.show("argo workflows", "working", "helm upgrade --install")
    argo.install()
    board.show("argo workflows", "done", f"chart {argo.third_party()[argo.CHART]['version']}")


def _images(board: Board) -> dict[Image, str]:
    """What the cluster has afterwards; only what has changed is loaded."""
    found = build_all(built.chosen([]), Wishes(), board)
    board.show("load images", "working")
    loaded = loading.load_missing(found, lambda count: board.show("load images", "working", f"{count} of {len(found)}, a minute or two"))
    board.show("load images", "done", f"{loaded} loaded, {len(found) - loaded} were there")
    return {one.image: loading.name(one) for one in found}


@contextmanager
def _control() -> Iterator[Api]:
    """Control is private: it is reached through the Kubernetes API, by who may do that."""
    token = PLATFORM.secret("modelyard", "control-token")
    with PLATFORM.forwarded("service/control", 8001) as url:
        yield Api("control", url, token, HINT)


def _gateway(password: str) -> Api:
    """As the administrator."""
    try:
        given = Api("the gateway", GATEWAY, hint=HINT).post("/auth/login", {"username": ADMINISTRATOR, "password": password})
    except Refused as refused:
        hint = f"was {ADMINISTRATOR}'s password changed? `{KUBECTL} get secret modelyard` has the one of the first start"
        raise Failure(f"{ADMINISTRATOR} cannot log in: {refused.message}", hint) from None
    return Api("the gateway", GATEWAY, given["access_token"], HINT)


def _serving(board: Board, gateway: Api) -> None:
    """Until every model answers: a runner loads a new champion within about a second. Raises Failure."""
    deadline = time.monotonic() + SERVING_SECONDS
    for model in catalogue.names():
        board.show(f"serving {model}", "working")
        while True:
            try:
                gateway.get(f"/v2/models/{model}/ready")
                break
            except Refused as refused:
                if time.monotonic() > deadline:
                    raise Failure(f"{model} does not serve: {refused.message}", f"{KUBECTL} logs -l modelyard.dev/model={model}") from None
                time.sleep(0.5)
        board.show(f"serving {model}", "done")


def _panel(curl: str, password: str, seconds: float) -> None:
    console.rule(f"Modelyard is up on the cluster {NAME}", align="left")
    services = {one["metadata"]["name"] for one in PLATFORM.documents("services")}
    private = {"mlflow": ("MLflow", 5000), "grafana": ("Grafana", 3000), "prometheus": ("Prometheus", 9090), "control": ("control", 8001)}
    lines = {"dashboard": DASHBOARD, "API": f"{GATEWAY}    documentation {GATEWAY}/docs", "log-in": f"{ADMINISTRATOR}  {password}"}
    for service, (title, port) in private.items():
        if service in services:
            lines[title] = f"{KUBECTL} port-forward service/{service} {port}    then http://127.0.0.1:{port}"
    lines |= {"pods": f"{KUBECTL} get pods", "workflows": f"{KUBECTL} get workflows"}
    for name, text in lines.items():
        say(f"  {name:<12}{text}")
    say("\nA first prediction, with a token that lives for some minutes (POST /auth/login gives another):\n")
    say(curl)
    say(f"\nReady after {seconds:.1f} s.")
