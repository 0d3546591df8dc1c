from typing import Protocol
from uuid import UUID

from services.control.workflows.schemas import Run, Submission


class Workflows(Protocol):
    """Carries workflow runs out. How each stands is in the table `workflow_runs`, whatever carries it out."""

    keeps_schedules: bool
    """Whether whatever carries runs out also starts those that the catalogue schedules; else control does."""

    async def ready(self, asked: Submission) -> None:
        """Raises what `submit` raises, and queues nothing."""
        ...

    def wake(self) -> None:
        """A run was queued by somebody else: worth a look."""
        ...

    async def submit(self, asked: Submission) -> Run:
        """Queues the run and returns at once. Raises Invalid when it could not work with these parameters, Unavailable when nothing could carry it out."""
        ...

    async def stop(self, run_id: UUID) -> Run:
        """Returns when nothing of the run is left. Raises NotFound, or Conflict when it has ended already."""
        ...

    async def log(self, run_id: UUID) -> str:
        """What the steps have written so far, the end of it when it is long."""
        ...

    def ended(self, workflow: str) -> None:
        """Somebody says so of a workflow: worth a look."""
        ...
