"""The gateway's own metrics; docs/metrics.yaml says what each means and what healthy looks like."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from services.kit.metrics import LATENCY_BUCKETS

_requests = Counter("modelyard_gateway_requests_total", "Answers given.", ["route", "method", "status"])
_seconds = Histogram("modelyard_gateway_request_seconds", "From the request's first byte to the answer's last.", ["route"], buckets=LATENCY_BUCKETS)
_predictions = Counter("modelyard_predictions_total", "Rows predicted, audited and answered.", ["model", "version", "decision"])
audit_commit_seconds = Histogram("modelyard_audit_commit_seconds", "One group commit of the audit.", buckets=LATENCY_BUCKETS)
audit_rows = Counter(
    "modelyard_audit_rows_total", "Audit rows: stored, spooled, late (durable, but the caller had been told otherwise) or refused.", ["outcome"]
)
audit_waiting = Gauge("modelyard_audit_waiting", "Audit rows that wait for a commit.", multiprocess_mode="livesum")
spool_rows = Gauge("modelyard_spool_rows", "Rows in the spool that wait for the database.", multiprocess_mode="livesum")
spool_bytes = Gauge("modelyard_spool_bytes", "Size of the spool's segments.", multiprocess_mode="livesum")
spool_limit_bytes = Gauge("modelyard_spool_limit_bytes", "Most that the segments may take.", multiprocess_mode="livemax")
spool_appended = Counter("modelyard_spool_appended_total", "Rows made durable in the spool.")
spool_replayed = Counter("modelyard_spool_replayed_total", "Rows brought from the spool into the database.")
spool_refused = Counter("modelyard_spool_refused_total", "Rows that the spool did not take, so that they were not answered: full or broken.", ["reason"])
spool_corrupt = Counter("modelyard_spool_corrupt_total", "Segments set aside because something in them cannot be stored.")
rate_limited = Counter("modelyard_rate_limited_total", "Requests refused by a limit: user or login.", ["limit"])

hop_calls = Counter("modelyard_hop_calls_total", "Calls to runners by outcome.", ["model", "outcome"])
hop_retries = Counter("modelyard_hop_retries_total", "Calls that were made again at another replica.", ["model"])
_hop_under_way = Gauge("modelyard_hop_under_way", "Calls under way to one replica of a runner.", ["model", "replica"], multiprocess_mode="livesum")
_hop_ejected = Gauge("modelyard_hop_ejected", "1 for a replica that gets no calls because it failed.", ["model", "replica"], multiprocess_mode="livemax")
explanations = Counter("modelyard_explanations_total", "Explanations given: computed by the runner, or kept from an earlier time.", ["model", "source"])
admission_refused = Counter(
    "modelyard_admission_refused_total", "Predictions refused because they would have waited too long, at the hop or the gateway.", ["at"]
)

for _counter, _values in (
    (audit_rows, ("stored", "spooled", "late", "refused")),
    (spool_refused, ("full", "broken")),
    (admission_refused, ("hop", "gateway")),
    (rate_limited, ("user", "login")),
):
    for _value in _values:  # a series that begins with its first event would not show that as an increase
        _counter.labels(_value)


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


@cache
def _hop_call(model: str, outcome: str) -> Counter:
    return hop_calls.labels(model, outcome)


def hop_call(model: str, outcome: str) -> None:
    _hop_call(model, outcome).inc()


def hop_replica(model: str, replica: str, under_way: int, ejected: bool) -> None:
    """The state of one replica now; one that is gone is left with zeros."""
    _hop_under_way.labels(model, replica).set(under_way)
    _hop_ejected.labels(model, replica).set(ejected)
