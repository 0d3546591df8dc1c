"""What control counts; docs/metrics.yaml explains each."""

from prometheus_client import Counter, Gauge, Histogram

DEPLOYMENTS = Counter("modelyard_deployments", "Entries written to the ledger.", ["model", "action"])
SERVING = Gauge("modelyard_serving_info", "1 for the version and policy that serve now.", ["model", "version", "policy"])
WAITERS = Gauge("modelyard_serving_waiters", "Long polls of runners that are waiting now.")
RUNS = Counter("modelyard_workflow_runs", "Workflow runs that ended.", ["model", "kind", "status"])
SECONDS = Histogram(
    "modelyard_workflow_seconds",
    "Seconds from the start of a workflow run to its end.",
    ["model", "kind"],
    buckets=(1, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600),
)
