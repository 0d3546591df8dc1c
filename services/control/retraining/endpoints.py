from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from services.control.requests import Authorized, KnownModel, Limit, body
from services.control.retraining.schemas import Asked, Retrainings
from services.control.retraining.service import Retrainings as Service
from services.kit.errors import Conflict, FieldError, Invalid

router = APIRouter(prefix="/models/{model}")

NEWEST = 2**63 - 1


def _service(request: Request) -> Service:
    found: Service = request.state.retrainings
    return found


Retraining = Annotated[Service, Depends(_service)]


@router.post("/retrain", status_code=202, dependencies=[Authorized])
async def retrain(model: KnownModel, service: Retraining, asked: Annotated[Asked, body(Asked)]) -> dict[str, Any]:
    """The run, and below `retraining` the decision. 409 with the decision when a rule speaks against it; the cooldown does not hold for people."""
    given = asked.parameters.model_dump(exclude_none=True)
    if given and asked.reason != "manual":
        rule = "belong to the reason manual: the others learn from what docs/retraining.md says"
        raise Invalid(f"parameters {rule}.", errors=[FieldError(field="parameters", rule=rule, value=given)])
    chosen = given if asked.reason == "manual" else None
    decision = await service.consider(model, asked.reason, asked.detail, words=asked.words, actor=asked.actor, given=chosen)
    decided = decision.retraining.model_dump(mode="json")
    if decision.run is None:
        raise Conflict(f"{model} is not retrained: {decision.retraining.why}.", extra={"retraining": decided})
    return decision.run.model_dump(mode="json") | {"retraining": decided}


@router.get("/retrainings")
async def retrainings(model: KnownModel, service: Retraining, limit: Limit = 50, cursor: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST) -> Retrainings:
    """Every decision, newest first."""
    found = await service.repository.page(model, limit + 1, cursor)
    return Retrainings(retrainings=found[:limit], next=found[limit - 1].id if len(found) > limit else None)
