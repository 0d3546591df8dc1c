"""Argo Workflows, where a cluster has none."""

from typing import Any

import yaml

from services.cluster import programs
from services.cluster.kubernetes import CONTEXT, PLATFORM
from services.local.failure import Failure
from services.local.paths import ROOT

CRD = "workflows.argoproj.io"
CHART = "argo-workflows"


def installed() -> bool:
    try:
        PLATFORM.kubectl("get", "crd", CRD, what="")
    except Failure as failure:
        if any("NotFound" in line for line in failure.details):
            return False
        raise Failure("the cluster does not say whether Argo is there", details=failure.details) from None
    return True


def third_party() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "k8s/third-party.yaml").read_text(encoding="utf-8"))
    return found


def install() -> None:
    """The chart's pinned version, with the values that stand beside it. Raises Failure."""
    chart = third_party()[CHART]
    place = ["--repo", chart["repository"], "--version", chart["version"], "-n", chart["namespace"], "--create-namespace", "--kube-context", CONTEXT]
    values = ["-f", str(ROOT / "k8s" / chart["values"]), "--wait", "--timeout", "5m"]
    programs.run("helm", "upgrade", "--install", CHART, CHART, *place, *values, what="Argo Workflows could not be installed")
