"""The gateway's collaborators while it runs, and how endpoints name them."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from services.gateway.admission import Admission
from services.gateway.auth.administration import Administration
from services.gateway.auth.credentials import Credentials, Principal
from services.gateway.auth.service import Sessions
from services.gateway.deadlines import Deadlines
from services.gateway.edge import Edge
from services.gateway.ledger.verifying import Verifier
from services.gateway.limits import Limit
from services.gateway.models.service import Control
from services.gateway.models.traffic import Counts
from services.gateway.operations.service import Health
from services.gateway.outcomes.service import Outcomes
from services.gateway.predictions.batch.service import Batches
from services.gateway.predictions.contracts import Contracts
from services.gateway.predictions.export import Exports
from services.gateway.predictions.hop import Runners
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.spool import Spool
from services.gateway.reports.process import Reports
from services.gateway.rollouts.canaries import Canaries
from services.gateway.settings import Settings
from services.kit.postgres import Pool


@dataclass(frozen=True, slots=True)
class State:
    settings: Settings
    edge: Edge
    contracts: Contracts
    pool: Pool
    credentials: Credentials
    sessions: Sessions
    administration: Administration
    rate: Limit
    logins: Limit
    deadlines: Deadlines
    admission: Admission
    spool: Spool
    journal: Journal
    batches: Batches
    runners: Runners
    control: Control
    health: Health
    reports: Reports
    outcomes: Outcomes
    exports: Exports
    traffic: Counts
    verifier: Verifier
    canaries: Canaries


async def _state(request: Request) -> State:
    return cast(State, request.app.state.gateway)


async def _caller(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


Current = Annotated[State, Depends(_state)]
Caller = Annotated[Principal, Depends(_caller)]
