"""The gateway's process: the only module here with side effects."""

import sys

from services.gateway.settings import Settings
from services.kit import logging, metrics, shared, workers
from services.kit.settings import read

GRACE_SECONDS = 10


def main() -> None:
    settings = read("gateway", Settings)
    worker = workers.Worker.of_environment()
    if worker is None and settings.workers > 1:
        logging.configure("gateway", settings)
        supervise(settings)
    else:
        logging.configure(f"gateway-{worker.number}" if worker else "gateway", settings)
        serve(settings, worker)


def supervise(settings: Settings) -> None:
    """The parent of several workers. It imports nothing of what they serve."""
    listener = workers.listen(settings.host, settings.port)
    with shared.folder("gateway") as folder:
        counts = folder / "metrics"
        metrics.serve(settings.metrics_port, settings.host, metrics.of_workers(counts), spool=settings.spool_dir)
        workers.supervise(
            [sys.executable, "-m", "services.gateway"],
            listener,
            folder,
            workers=settings.workers,
            grace_seconds=settings.drain_seconds + GRACE_SECONDS + 5,
            environment=lambda number: _environment(settings, number),
            buried=lambda number: metrics.bury(counts, number),
        )


def _environment(settings: Settings, number: int) -> dict[str, str]:
    """What must be the same in all workers, and what must not."""
    environment = {"GATEWAY_JWT_SECRET": settings.jwt_secret.get_secret_value()}
    if settings.log_file is not None:  # one file cannot be rotated by several
        environment["GATEWAY_LOG_FILE"] = str(settings.log_file.with_stem(f"{settings.log_file.stem}-{number}"))
    return environment


def serve(settings: Settings, worker: workers.Worker | None) -> None:
    if worker is None:
        metrics.serve(settings.metrics_port, settings.host, spool=settings.spool_dir)
    else:
        metrics.keep_in(worker.shared / "metrics", worker.number)
    # Only now: these modules make metrics, and a parent needs none of them.
    from services.gateway.app import create
    from services.gateway.auth.passwords import Passwords
    from services.gateway.lifespan import running
    from services.gateway.predictions import contracts
    from services.kit import service

    known = contracts.of_catalogue()
    service.serve(
        create(known, lambda: running(settings, known, Passwords(), worker.shared if worker else None)),
        host=settings.host,
        port=settings.port,
        grace_seconds=GRACE_SECONDS,
        drain_seconds=settings.drain_seconds,
        client_seconds=settings.client_seconds,
        worker=worker,
    )
