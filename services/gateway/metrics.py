"""The gateway's own metrics; docs/metrics.yaml says what each means and what healthy looks like."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from services.kit.metrics import LATENCY_BUCKETS

_requests = Counter("modelyard_gateway_requests_total", "Answers given.", ["route", "method", "status"])
_seconds = Histogram("modelyard_gateway_request_seconds", "From the request's first byte to the answer's last.", ["route"], buckets=LATENCY_BUCKETS)
_predictions = Counter("modelyard_predictions_total", "Rows predicted, audited and answered.", ["model", "version", "decision"])
audit_commit_seconds = Histogram("modelyard_audit_commit_seconds", "One group commit of the audit.", buckets=LATENCY_BUCKETS)
audit_rows = Counter("modelyard_audit_rows_total", "Audit rows by outcome: stored, late (stored, but the caller had been told 503) or refused.", ["outcome"])
audit_waiting = Gauge("modelyard_audit_waiting", "Audit rows that wait for a commit.")
rate_limited = Counter("modelyard_rate_limited_total", "Requests refused by a limit: user or login.", ["limit"])


@cache
def _answered(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(route, method, str(status)), _seconds.labels(route)


@cache
def _predicted(model: str, version: str, decision: str) -> Counter:
    return _predictions.labels(model, version, decision)


def answered(route: str, method: str, status: int, seconds: float) -> None:
    """`route` is a path of the table or `other`, never what the client sent: the label stays bounded."""
    counter, histogram = _answered(route, method, status)
    counter.inc()
    histogram.observe(seconds)


def predicted(model: str, version: str, decision: str | None, rows: int = 1) -> None:
    _predicted(model, version, decision or "none").inc(rows)
