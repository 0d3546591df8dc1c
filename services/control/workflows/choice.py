"""Which of the two ways of carrying out workflow runs this control uses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from services.control.settings import Settings
from services.control.workflows.protocol import Workflows
from services.control.workflows.queue import Queue


@asynccontextmanager
async def carrying_out(settings: Settings, queue: Queue, pipeline: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Workflows]:
    """Imports only the one that is chosen: the client of Kubernetes takes longer to import than all else of control."""
    if settings.workflows == "argo":
        from services.control.workflows.argo.api import Api
        from services.control.workflows.argo.logs import Logs
        from services.control.workflows.argo.workflows import ArgoWorkflows

        api = Api(settings.namespace)
        argo = ArgoWorkflows(queue, api, Logs(settings.log_dir, api))
        async with argo.running():
            yield argo
    else:
        from services.control.workflows.execution import Launcher
        from services.control.workflows.local import LocalWorkflows

        local = LocalWorkflows(queue, Launcher(pipeline, environment, settings.log_dir, settings.evidently))
        async with local.running():
            yield local
