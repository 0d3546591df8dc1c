"""Prometheus on a port of its own, so that metrics are never public by accident. The catalogue is docs/metrics.yaml."""

from prometheus_client import start_http_server

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; fine around the milliseconds where predictions live."""


def serve(port: int, host: str) -> None:
    """Starts a thread that answers /metrics; port 0 means off."""
    if port:
        start_http_server(port, addr=host)
