from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.control.files import Files
from services.control.requests import Authorized, KnownModel, body
from services.control.scored.repository import ScoredRepository
from services.control.scored.schemas import MLFLOW_RUN, Kept, Part, Scored
from services.kit.errors import Conflict, NotFound

router = APIRouter()

RunId = Annotated[str, Path(pattern=MLFLOW_RUN)]
Number = Annotated[int, Path(ge=0, lt=2**31)]
PARQUET, CSV = "application/vnd.apache.parquet", "text/csv; charset=utf-8; header=present"


def _repository(request: Request) -> ScoredRepository:
    found: ScoredRepository = request.state.scored
    return found


def _files(request: Request) -> Files:
    found: Files = request.state.files
    return found


Stored = Annotated[ScoredRepository, Depends(_repository)]
Artifacts = Annotated[Files, Depends(_files)]


@router.post("/models/{model}/scored", status_code=201, dependencies=[Authorized])
async def add(model: KnownModel, stored: Stored, part: Annotated[Part, body(Part)]) -> Kept:
    """Of the pipeline's step `score`, when a part is done. Told again, it changes nothing, and the answer is what is kept."""
    kept = await stored.add(model, part)
    if kept is None:
        raise Conflict(f"Part {part.part} of run {part.run_id} is another model's.")
    return kept


@router.get("/models/{model}/scored/{run_id}")
async def scored(
    model: KnownModel, run_id: RunId, stored: Stored, after: Annotated[int, Query(ge=-1, lt=2**31)] = -1, limit: Annotated[int, Query(ge=1, le=1000)] = 500
) -> Scored:
    """What is done of a scoring; nothing of a run that nobody knows."""
    found = await stored.page(model, run_id, after, limit + 1)
    return Scored(parts=found[:limit], next=found[limit - 1].part if len(found) > limit else None, totals=await stored.totals(model, run_id))


@router.get("/models/{model}/scored/{run_id}/parts/{part}/answers", dependencies=[Authorized])
async def answers(model: KnownModel, run_id: RunId, part: Number, stored: Stored, files: Artifacts) -> Response:
    """The input's columns with the answers, as Parquet; its sha256 is the record's `output_sha256`."""
    kept = await _kept(stored, model, run_id, part)
    return Response(await files.read(kept.artifact), media_type=PARQUET)


@router.get("/models/{model}/scored/{run_id}/parts/{part}/refused", dependencies=[Authorized])
async def refused(model: KnownModel, run_id: RunId, part: Number, stored: Stored, files: Artifacts) -> Response:
    """Which rows were not answered, and why, as CSV."""
    kept = await _kept(stored, model, run_id, part)
    if not kept.refused:
        raise NotFound(f"No row of part {part} was refused.")
    root = kept.artifact.rpartition("/predictions/")[0]
    return Response(await files.read(f"{root}/refused/part-{part:05d}.csv"), media_type=CSV)


async def _kept(stored: ScoredRepository, model: str, run_id: str, part: int) -> Kept:
    kept = await stored.one(model, run_id, part)
    if kept is None:
        raise NotFound(f"Run {run_id} of {model} has no part {part}, or not yet.")
    return kept
