import time
from collections.abc import Iterator
from contextlib import contextmanager

from bentos import catalogue
from services.cluster import argo, chart, kubernetes, loading, programs
from services.cluster import images as built
from services.cluster.images import Image, Wishes
from services.cluster.kubernetes import CONTEXT, NAME, NAMESPACE
from services.commands.first_prediction import curl_that_works
from services.commands.images import build_all
from services.commands.output import console, say
from services.local.api import Api, Refused
from services.local.board import Board
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR
from services.local.steps import training

GATEWAY = "http://127.0.0.1:30080"
"""The NodePort of charts/modelyard/values/kind.yaml, which k8s/kind.yaml maps to this machine."""
SERVING_SECONDS = 60.0


def kind() -> None:
    """Bring the whole platform up on a local Kubernetes cluster, train what has never been trained, and say how to use it."""
    programs.docker_answers()
    programs.need("kind", "kubectl", "helm")
    try:
        with Board() as board:
            _cluster(board)
            _argo(board)
            chart.apply(chart.image_values(_images(board)), board)
            password = kubernetes.secret("modelyard", "admin-password")
            with _control() as control:
                training.first_training(control, board, ADMINISTRATOR)
            token = _token(password)
            _serving(board, token)
            curl = curl_that_works(board, GATEWAY, token)
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
    token = kubernetes.secret("modelyard", "control-token")
    with kubernetes.forwarded("service/control", 8001) as url:
        yield Api("control", url, token)


def _token(password: str) -> str:
    try:
        return str(Api("the gateway", GATEWAY).post("/auth/login", {"username": ADMINISTRATOR, "password": password})["access_token"])
    except Refused as refused:
        hint = f"was {ADMINISTRATOR}'s password changed? `kubectl -n {NAMESPACE} get secret modelyard` has the one of the first start"
        raise Failure(f"{ADMINISTRATOR} cannot log in: {refused.message}", hint) from None


def _serving(board: Board, token: str) -> None:
    """Until every model answers: a runner loads a new champion within about a second. Raises Failure."""
    gateway, deadline = Api("the gateway", GATEWAY, token), time.monotonic() + SERVING_SECONDS
    for model in catalogue.names():
        board.show(f"serving {model}", "working")
        while True:
            try:
                gateway.get(f"/v2/models/{model}/ready")
                break
            except Refused as refused:
                if time.monotonic() > deadline:
                    raise Failure(f"{model} does not serve: {refused.message}", f"kubectl -n {NAMESPACE} logs -l modelyard.dev/model={model}") from None
                time.sleep(0.5)
        board.show(f"serving {model}", "done")


def _panel(curl: str, password: str, seconds: float) -> None:
    console.rule(f"Modelyard is up on the cluster {NAME}", align="left")
    command = f"kubectl --context {CONTEXT} -n {NAMESPACE}"
    lines = {
        "API": f"{GATEWAY}    documentation {GATEWAY}/docs",
        "log-in": f"{ADMINISTRATOR}  {password}",
        "MLflow": f"{command} port-forward service/mlflow 5000    then http://127.0.0.1:5000",
        "control": f"{command} port-forward service/control 8001    (private)",
        "pods": f"{command} get pods",
        "workflows": f"{command} get workflows",
    }
    for name, text in lines.items():
        say(f"  {name:<11}{text}")
    say("\nA first prediction, with a token that lives for some minutes (POST /auth/login gives another):\n")
    say(curl)
    say(f"\nReady after {seconds:.1f} s.")
