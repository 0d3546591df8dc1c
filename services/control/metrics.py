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

DATABASE_UP = Gauge("modelyard_database_up", "1 while control's last look into the database succeeded.")
DATABASE_BYTES = Gauge("modelyard_database_bytes", "Size of the database.")
DATABASE_CONNECTIONS = Gauge("modelyard_database_connections", "Connections to the server.")
DATABASE_CONNECTIONS_MAX = Gauge("modelyard_database_connections_max", "Most that the server takes.")
RUNS_UNDER_WAY = Gauge("modelyard_workflow_runs_under_way", "Workflow runs that have not ended.", ["model", "status"])
RUN_ENDED = Gauge("modelyard_workflow_last_end_timestamp_seconds", "When the last run with this status ended.", ["model", "kind", "status"])
RUN_SECONDS = Gauge("modelyard_workflow_last_seconds", "From the start to the end of the last run with this status.", ["model", "kind", "status"])
CHAMPION_METRIC = Gauge("modelyard_champion_metric", "What the version that serves reached on its hold-out.", ["model", "version", "metric", "figure"])
CHAMPION_TRAINED = Gauge("modelyard_champion_trained_timestamp_seconds", "When the version that serves was registered.", ["model", "version"])
POLICY_THRESHOLD = Gauge("modelyard_policy_threshold", "Probability from which on the decision is the positive one.", ["model", "policy"])
RECENT_PREDICTIONS = Gauge("modelyard_recent_predictions", "Newest predictions that the other recent figures are made of.", ["model"])
RECENT_USERS = Gauge("modelyard_recent_users", "Users who asked for them.", ["model"])
RECENT_PROBABILITY = Gauge("modelyard_recent_probability", "Their mean probability.", ["model"])
RECENT_COST = Gauge("modelyard_recent_expected_cost", "What one of them is expected to cost, in the policy's unit.", ["model"])
WORKFLOWS_UP = Gauge("modelyard_workflows_up", "1 while what carries workflow runs out can be reached.")
