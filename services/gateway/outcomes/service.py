"""From what somebody tells to what is kept: an outcome belongs to a prediction of the audit and has a value that its model could have meant."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

from pydantic import ValidationError

from services.gateway.outcomes import repository
from services.gateway.outcomes.repository import Outcome
from services.gateway.outcomes.schemas import OutcomeOf, RecordedOutcome, RecordedOutcomes, Rejected
from services.gateway.predictions.contracts import Contracts
from services.kit.errors import BadRequest, FieldError, Invalid, NotFound, of_fields
from services.kit.http import SHOWN_ERRORS, field_errors
from services.kit.postgres import Pool

MOST = 100_000
NEEDED, KNOWN = ("prediction_id", "value"), ("prediction_id", "value", "note")


class Outcomes:
    def __init__(self, pool: Pool, contracts: Contracts) -> None:
        self._pool = pool
        self._contracts = contracts

    async def record(self, actor: str, told: OutcomeOf) -> RecordedOutcome:
        """Raises NotFound, or Invalid for a value that the model could not have meant."""
        async with self._pool.connection() as connection:
            model = (await repository.models_of(connection, [told.prediction_id])).get(told.prediction_id)
            if model is None:
                raise NotFound(f"There is no prediction {told.prediction_id}.")
            if (rule := self._broken(model, told.value)) is not None:
                raise Invalid(f"value {rule}.", errors=[FieldError(field="value", rule=rule, value=told.value)])
            at, before = await repository.record(connection, actor, [_kept(told)])
        kept = told.model_dump()
        return RecordedOutcome(**kept, recorded_at=at, actor=actor, corrects=bool(before))

    async def record_many(self, actor: str, told: Sequence[OutcomeOf]) -> RecordedOutcomes:
        """What can be recorded is, together; of the rest each is told. An id that stands there more than once is not: nobody knows which one is true."""
        times = Counter(one.prediction_id for one in told)
        async with self._pool.connection() as connection:
            await connection.execute("SET LOCAL statement_timeout = '60s'")
            models = await repository.models_of(connection, list(times))
            problems: list[Rejected] = []
            fine: list[Outcome] = []
            for row, one in enumerate(told):
                if (problem := self._problem(one, times[one.prediction_id], models.get(one.prediction_id))) is not None:
                    problems.append(Rejected(prediction_id=one.prediction_id, row=row, problem=problem))
                else:
                    fine.append(_kept(one))
            before = (await repository.record(connection, actor, fine))[1] if fine else set()
        return RecordedOutcomes(recorded=len(fine), corrected=len(before), rejected=problems)

    def _problem(self, told: OutcomeOf, times: int, model: str | None) -> str | None:
        if times > 1:
            return f"stands here {times} times; say once what is true"
        if model is None:
            return "there is no such prediction"
        rule = self._broken(model, told.value)
        return rule and f"value {told.value:g} {rule}"

    def _broken(self, model: str, value: float) -> str | None:
        contract = self._contracts.get(model)
        return "must be 0 or 1" if contract is not None and contract.task == "classification" and value not in (0.0, 1.0) else None


def _kept(told: OutcomeOf) -> Outcome:
    return Outcome(told.prediction_id, told.value, told.note)


def of_csv(body: bytes) -> list[OutcomeOf]:
    """A header with prediction_id, value and perhaps note, in any order. Raises BadRequest or Invalid, with the line of each mistake."""
    try:
        lines = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in lines.fieldnames or []]
        wrong = [name for name in NEEDED if name not in header] or [name for name in header if name not in KNOWN] or len(header) != len(set(header))
        if wrong:
            raise BadRequest(f"The first line must name the columns prediction_id, value and perhaps note; it is {','.join(header)[:200] or 'empty'}.")
        lines.fieldnames = header
        found: list[OutcomeOf] = []
        errors: list[FieldError] = []
        for row in lines:
            if len(found) >= MOST:
                raise BadRequest(f"There may be {MOST} outcomes at a time.")
            try:
                given = {name or "more columns": value for name, value in row.items() if value or name != "note"}
                found.append(OutcomeOf.model_validate(given, strict=False))
            except ValidationError as error:
                errors += [part | {"line": lines.line_num} for part in field_errors(error.errors(include_url=False, include_context=False))]
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start}.") from None
    except csv.Error as error:
        raise BadRequest(f"The body is not CSV: {error}.") from None
    if errors:
        raise of_fields(errors[:SHOWN_ERRORS], len(errors))
    if not found:
        raise BadRequest("There are no outcomes below the first line.")
    return found
