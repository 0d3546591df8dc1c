"""Who may talk to whom in the platform's namespace: the arrows of docs/architecture.md as data. Whatever is not here is refused."""

from typing import NamedTuple


class Flow(NamedTuple):
    source: str
    """A component; `anyone`: clients, from wherever."""
    target: str
    """A component; `kubernetes`: the API server; `dns`: the cluster's."""
    port: int


FLOWS = frozenset(
    {
        Flow("anyone", "gateway", 8000),
        Flow("anyone", "frontend", 8501),
        Flow("frontend", "gateway", 8000),
        Flow("gateway", "runner", 3000),
        Flow("gateway", "control", 8001),
        Flow("gateway", "postgres", 5432),
        Flow("control", "postgres", 5432),
        Flow("control", "mlflow", 5000),
        Flow("control", "kubernetes", 443),
        Flow("control", "kubernetes", 6443),
        Flow("runner", "control", 8001),
        Flow("runner", "mlflow", 5000),
        Flow("mlflow", "postgres", 5432),
        Flow("migrations", "postgres", 5432),
        Flow("workflow", "control", 8001),
        Flow("workflow", "mlflow", 5000),
        Flow("workflow", "gateway", 8000),
        Flow("workflow", "kubernetes", 443),
        Flow("workflow", "kubernetes", 6443),
        Flow("test", "gateway", 8000),
    }
)
"""Of every installation. All pods may also ask DNS."""

MONITORING = frozenset(
    {
        Flow("prometheus", "gateway", 9100),
        Flow("prometheus", "control", 9101),
        Flow("prometheus", "runner", 3000),
        Flow("prometheus", "alertmanager", 9093),
        Flow("grafana", "prometheus", 9090),
    }
)
"""Those of `monitoring.mode: builtin`, besides alertmanager's to the internet."""

MARKET = frozenset({Flow("control", "internet", 443)})
"""Unless `control.market.enabled` is false: Kraken's addresses change, so it is any address."""

COMPONENTS = ("gateway", "control", "runner", "mlflow", "postgres", "migrations", "workflow", "test", "frontend")
PORTS = {
    "gateway": (8000, 9100),
    "control": (8001, 9101),
    "runner": (3000,),
    "mlflow": (5000,),
    "frontend": (8501,),
    "postgres": (5432,),
    "kubernetes": (443, 6443),
    "dns": (53,),
}
"""On which something listens, or could."""
