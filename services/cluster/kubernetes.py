"""The kind cluster. Every command names its context: no other cluster is ever touched."""

from services.cluster import programs
from services.cluster.place import Place
from services.local.failure import Failure
from services.local.paths import ROOT

NAME = "modelyard"
CONTEXT = f"kind-{NAME}"
PLATFORM = Place("modelyard", CONTEXT)


def exists() -> bool:
    return NAME in programs.run("kind", "get", "clusters", what="kind does not say which clusters there are").split()


def create() -> None:
    programs.run("kind", "create", "cluster", "--config", str(ROOT / "k8s/kind.yaml"), "--wait", "120s", what="the cluster could not be created")


def answers() -> None:
    """Raises Failure when the cluster is there and does not answer."""
    try:
        PLATFORM.kubectl("get", "--raw", "/readyz", what="")
    except Failure as failure:
        hint = f"`docker start {NAME}-control-plane` starts it again after a restart of Docker; `make kind-down` removes it, with all that it holds"
        raise Failure(f"there is a cluster {NAME}, but it does not answer", hint, failure.details) from None
