"""The runner's own counters: Bento's middleware costs as much as an answer."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bentos.serving.slots import Slots
from bentos.serving.tallies import Tallies

BUCKETS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
MOST_KEPT = 8
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """A registry of its own: two runners in one process do not add up."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.registry = CollectorRegistry()
        self._rows = Counter("modelyard_runner_rows_total", "Rows answered.", ["model", "version"], registry=self.registry)
        self._slots = Gauge("modelyard_runner_slot_info", "1 for each version that is loaded.", ["model", "slot", "version", "engine"], registry=self.registry)
        self._pin = Gauge("modelyard_runner_pin_info", "1 for the version that this replica is pinned to.", ["model", "version"], registry=self.registry)
        seconds = Histogram("modelyard_runner_call_seconds", "From parsed rows to answers.", ["model"], buckets=BUCKETS, registry=self.registry)
        refused = Counter("modelyard_runner_refused_total", "Versions refused at load; every attempt counts.", ["model"], registry=self.registry)
        rejected = Counter("modelyard_runner_rejected_total", "Calls answered 429: too many were under way.", ["model"], registry=self.registry)
        in_flight = Gauge("modelyard_runner_in_flight", "Calls under way.", ["model"], registry=self.registry)
        explained = Histogram("modelyard_runner_explain_seconds", "From a parsed row to its explanation.", ["model"], buckets=BUCKETS, registry=self.registry)
        explain_rejected = Counter("modelyard_runner_explain_rejected_total", "Explanations refused with 429.", ["model"], registry=self.registry)
        self.explained, self.explain_rejected = explained.labels(model), explain_rejected.labels(model)
        self._failed = Counter("modelyard_runner_failed_rows_total", "Rows that a version could not answer.", ["model", "version"], registry=self.registry)
        self.tallies = Tallies()
        self._answered: dict[str, Counter] = {}
        self._seconds, self.in_flight = seconds.labels(model), in_flight.labels(model)
        self.refused, self.rejected = refused.labels(model), rejected.labels(model)

    def answered(self, version: str, rows: int, seconds: float) -> None:
        if version not in self._answered:
            if len(self._answered) >= MOST_KEPT:
                self._answered.clear()
            self._answered[version] = self._rows.labels(self._model, version)
        self._answered[version].inc(rows)
        self._seconds.observe(seconds)
        self.tallies.answered(version, rows, seconds)

    def failed(self, version: str, rows: int) -> None:
        self._failed.labels(self._model, version).inc(rows)
        self.tallies.failed(version, rows)

    def loaded(self, slots: Slots) -> None:
        self._slots.clear()
        for name, slot in (("champion", slots.champion), ("challenger", slots.challenger)):
            if slot is not None:
                self._slots.labels(self._model, name, slot.version, slot.artifact.engine.kind).set(1)

    def pinned(self, version: str) -> None:
        self._pin.labels(self._model, version).set(1)

    def text(self) -> bytes:
        return generate_latest(self.registry)
