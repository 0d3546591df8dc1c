from typing import Any

from bentos.catalogue import Catalogue
from services.control.registry.repository import RegistryRepository, Row
from services.control.registry.schemas import Best, Evaluation, ModelDocument, PredictionDocument, Registration, VersionDocument
from services.kit.errors import Conflict, FieldError, Invalid, NotFound

POLICY = ("threshold", "costs", "risk_levels")


class Registry:
    """What versions there are and how good they are, from the database alone: it answers also when MLflow is away."""

    def __init__(self, repository: RegistryRepository, catalogue: Catalogue, mlflow_url: str) -> None:
        self.repository = repository
        self.entries = catalogue.models
        self._mlflow_url = mlflow_url.rstrip("/")

    async def models(self, names: list[str]) -> list[ModelDocument]:
        return [self._model(row) for row in await self.repository.models(names)]

    def _model(self, row: Row) -> ModelDocument:
        entry = self.entries[row["name"]]
        champion = row["version"] and {"version": row["version"], "since": row["since"], "by": row["by"]}
        policy = row["policy_version"] and {"version": row["policy_version"]} | {name: row[name] for name in POLICY}
        described = {"title": entry.title, "summary": entry.summary, "owner": entry.owner, "task": entry.task}
        return ModelDocument.model_validate(row | described | {"champion": champion, "policy": policy})

    async def versions(self, model: str, limit: int, after: str | None) -> list[VersionDocument]:
        return [VersionDocument.model_validate(self._linked(row)) for row in await self.repository.versions(model, limit, after)]

    async def version(self, model: str, version: str) -> VersionDocument:
        return VersionDocument.model_validate(self._linked(await self._row(model, version)))

    async def _row(self, model: str, version: str) -> Row:
        row = await self.repository.version(model, version)
        if row is None:
            raise NotFound(f"{model} has no version {version!r}; GET /models/{model}/versions lists them.")
        return row

    def _linked(self, row: Row) -> Row:
        return row | {"mlflow_url": f"{self._mlflow_url}/#/models/{row['model']}/versions/{row['version']}"}

    async def register(self, model: str, new: Registration) -> tuple[VersionDocument, bool]:
        """The version as stored, and whether it is new. Registering the same again changes nothing, so that a step may be repeated."""
        classification = self.entries[model].task == "classification"
        if classification != (new.policy is not None):
            rule = "is needed: a classification decides by it" if classification else "must be null: a regression has no decision policy"
            error = FieldError(field="policy", rule=rule, value=None if classification else "object")
            raise Invalid(f"policy {rule}.", errors=[error])
        created = await self.repository.register(model, new)
        row = await self._row(model, new.version)
        different = [name for name, value in new.model_dump().items() if row[name] != value]
        if different:
            raise Conflict(f"Version {new.version} of {model} is registered already, with another {' and '.join(different)}.")
        return VersionDocument.model_validate(self._linked(row)), created

    async def judge(self, model: str, version: str, verdict: dict[str, Any]) -> VersionDocument:
        await self.repository.judge(model, version, verdict)
        return await self.version(model, version)

    async def evaluation(self, model: str) -> Evaluation:
        """The champion's numbers."""
        (row,) = await self.repository.models([model])
        if row["version"] is None:
            raise NotFound(f"Nothing serves {model} yet: train it, and promote a version.")
        champion = await self._row(model, row["version"])
        return Evaluation.model_validate({**champion, "model": model})

    async def best(self, model: str) -> Best:
        entry = self.entries[model]
        metric, lower = ("mse", True) if entry.task == "regression" else (entry.gate.metric, entry.gate.lower_is_better)
        row = await self.repository.best(model, metric, -1 if lower else 1)
        if row is None:
            raise NotFound(f"No version of {model} has the metric {metric}: train it first.")
        value = row["metrics"]["holdout"]["metrics"][metric]["value"]
        return Best.model_validate(self._linked(row) | {"metric": metric, "value": value})

    async def latest_prediction(self, model: str) -> PredictionDocument:
        found = await self.repository.latest_prediction(model)
        if found is None:
            raise NotFound(f"{model} has not answered anything yet.")
        return found
