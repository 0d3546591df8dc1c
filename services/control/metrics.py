"""What control counts; docs/metrics.yaml explains each."""

from typing import Any

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
DRIFT = Gauge("modelyard_drift", "What the newest check for drift measured.", ["model", "feature", "statistic"])
DRIFT_ALARM = Gauge("modelyard_drift_alarm", "1 when the newest check for drift raised an alarm.", ["model"])
DRIFT_ROWS = Gauge("modelyard_drift_rows", "Rows that the newest check for drift looked at.", ["model"])
DRIFT_CHECKED = Gauge("modelyard_drift_check_timestamp_seconds", "When drift was checked last.", ["model"])
LIVE_METRIC = Gauge("modelyard_live_metric", "What answers turned out to be worth.", ["model", "version", "metric", "figure"])
LIVE_OUTCOMES = Gauge("modelyard_live_outcomes", "Known outcomes that live figures are made of.", ["model"])
LIVE_ALARM = Gauge("modelyard_live_alarm", "1 when the version that serves does clearly worse than on its hold-out.", ["model"])
WORKFLOWS_UP = Gauge("modelyard_workflows_up", "1 while what carries workflow runs out can be reached.")

KRAKEN_UP = Gauge("modelyard_kraken_up", "1 while Kraken's last answer was one.")
KRAKEN_REQUESTS = Counter("modelyard_kraken_requests", "Calls to Kraken: ok, limited, refused, away or garbage.", ["endpoint", "outcome"])
KRAKEN_SECONDS = Histogram(
    "modelyard_kraken_request_seconds", "Seconds from a call to Kraken to its answer.", ["endpoint"], buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)
MARKET_NEWEST = Gauge("modelyard_market_newest_candle_timestamp_seconds", "When the newest stored candle ended.", ["asset", "interval"])

NOTIFICATIONS = Counter("modelyard_notifications", "Attempts to send a notification: sent, later or failed.", ["channel", "outcome"])
NOTIFICATIONS_WAITING = Gauge("modelyard_notifications_waiting", "Notifications that a channel has not got yet.", ["channel"])
RETRAININGS = Counter("modelyard_retrainings", "Decisions about a retraining.", ["model", "reason", "decision"])
SHADOW_SCORES = Counter("modelyard_shadow_scores", "Rows that a challenger scored in the shadow, or failed to.", ["model", "version", "outcome"])
ROLLOUT_DECISIONS = Counter("modelyard_rollout_decisions", "Promotions, canaries, withdrawals and rollbacks that no person asked for.", ["model", "decision"])
TRIAL = Gauge("modelyard_trial_info", "1 for the version that is being tried.", ["model", "version", "mode"])
TRIAL_FIGURE = Gauge("modelyard_trial_figure", "The last report on the version that is being tried, in figures.", ["model", "version", "figure"])
WATCHED = Gauge("modelyard_watch_seconds", "How long the version that serves is still watched.", ["model"])


def show_trial(model: str, version: str | None, canary_percent: int, report: dict[str, Any]) -> None:
    """These figures of the model's trial, and no others."""
    for gauge in (TRIAL, TRIAL_FIGURE):
        gauge.remove_by_labels({"model": model})
    if version is None:
        return
    TRIAL.labels(model, version, "canary" if canary_percent else "shadow").set(1)
    figures = {
        "rows": report.get("rows"),
        "error_share": (report.get("errors") or {}).get("share"),
        "flip_share": (report.get("flips") or {}).get("share"),
        "psi": (report.get("score") or {}).get("psi"),
        "latency_ratio": (report.get("latency") or {}).get("ratio"),
        "cost_difference": (((report.get("cost") or {}).get("known") or (report.get("cost") or {}).get("expected")) or {}).get("difference"),
    }
    for figure, value in figures.items():
        if value is not None:
            TRIAL_FIGURE.labels(model, version, figure).set(value)
