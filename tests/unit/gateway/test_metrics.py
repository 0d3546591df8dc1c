from prometheus_client import Gauge

from services.gateway import metrics


def test_every_gauge_says_how_workers_add_up() -> None:
    """Without a word, prometheus_client would show one series for each process, dead ones too."""
    gauges = [found for found in vars(metrics).values() if isinstance(found, Gauge)]
    assert gauges
    assert [gauge._name for gauge in gauges if not gauge._multiprocess_mode.startswith("live")] == []
