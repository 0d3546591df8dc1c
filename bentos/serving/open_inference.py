"""The Open Inference Protocol (V2) on a runner, for clients within the platform: nobody is authenticated here, and nothing is audited."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bentos import contract
from bentos.serving.predictor import Predictor
from services.kit import errors
from services.kit.http import invalid, problem_response, read_body
from services.kit.open_inference import documents, rows
from services.kit.open_inference.documents import JSON, JSON_LENGTH, Asked

log = logging.getLogger(__name__)

PREFIX = "/v2"
MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"
MOST_BYTES = 64 * 2**20
MOST_BYTES_INLINE = 64 * 1024
"""A larger request is read, and its answer written, in a thread."""
MOST_ROWS = 100_000

Endpoint = Callable[[Request], Awaitable[Response]]


class OpenInference:
    """The protocol's routes for the one model of this process."""

    def __init__(self, model: str, predictor: Callable[[], Predictor]) -> None:
        self._model, self._predictor = model, predictor
        schema = contract.schema(model)
        self._row: TypeAdapter[Any] = TypeAdapter(schema.Input)
        self._inputs = rows.fields(schema.Input, contract.kinds(schema.Input))
        self._outputs = rows.fields(schema.Output, contract.kinds(schema.Output))

    def routes(self) -> list[Route]:
        one_model: dict[str, Endpoint] = {"": self.metadata, "/ready": self.ready}
        return [
            Route(PREFIX, self._spoken(self.server)),
            Route(f"{PREFIX}/health/live", self._spoken(self.live)),
            Route(f"{PREFIX}/health/ready", self._spoken(self.ready)),
            *(Route(path + rest, self._spoken(answer)) for path in (MODEL, VERSION) for rest, answer in one_model.items()),
            *(Route(f"{path}/infer", self._spoken(self.infer), methods=["POST"]) for path in (MODEL, VERSION)),
        ]

    def _spoken(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with every error in a form that clients of the protocol understand."""

        async def answered(request: Request) -> Response:
            request_id = request.headers.get("x-request-id", "-")
            try:
                return await endpoint(request)
            except errors.Problem as problem:
                return problem_response(documents.spoken(problem), request_id)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception:
                log.exception("unexpected error", extra={"model": self._model, "request_id": request_id})
                return problem_response(documents.spoken(errors.Problem("The runner failed on this request; the request id finds it in its log.")), request_id)

        return answered

    async def server(self, _: Request) -> Response:
        return _json(documents.server(f"modelyard-runner-{self._model}"))

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        """Of the server and of its one model: the same question."""
        self._named(request)
        unready = self._predictor().runner.unready()
        return _json({"name": self._model, "ready": True}) if unready is None else _json({"name": self._model, "ready": False, "error": unready}, 503)

    async def metadata(self, request: Request) -> Response:
        self._named(request)
        champion = self._predictor().runner.slots.champion
        return _json(rows.metadata(self._model, [champion.version] if champion else [], self._inputs, self._outputs))

    async def infer(self, request: Request) -> Response:
        self._named(request)
        predictor = self._predictor()
        with predictor.admission.call(request.scope["headers"]):
            body = await read_body(request, MOST_BYTES)
            aside = len(body) > MOST_BYTES_INLINE
            read = (body, request.headers.get(JSON_LENGTH))
            asked, valid = await asyncio.to_thread(self._read, *read) if aside else self._read(*read)
            scored = await predictor.predict(valid)
            self._serves(request, scored["version"])
            content, headers = await asyncio.to_thread(self._written, asked, scored) if aside else self._written(asked, scored)
        return Response(content, headers=headers)

    def _read(self, body: bytes, json_length: str | None) -> tuple[Asked, list[dict[str, Any]]]:
        asked = documents.read(body, json_length)
        rows.check_outputs(asked, self._outputs)
        return asked, rows.each(rows.rows(asked.inputs, self._inputs, MOST_ROWS), self._validated)

    def _validated(self, row: dict[str, Any]) -> dict[str, Any]:
        """By way of JSON, in which the schema allows and refuses the same as everywhere else."""
        try:
            dumped: dict[str, Any] = self._row.validate_json(orjson.dumps(row)).model_dump()
        except ValidationError as error:
            raise invalid(error) from None
        return dumped

    def _written(self, asked: Asked, scored: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        tensors = rows.outputs(scored["answers"], self._outputs, asked)
        return documents.write(asked, self._model, scored["version"], {"model_version": scored["version"], "policy_version": scored["policy_version"]}, tensors)

    def _named(self, request: Request) -> None:
        """Raises NotFound for another model or version than this runner's."""
        model = request.path_params.get("model", self._model)
        if model != self._model:
            raise errors.NotFound(f"There is no model {model} here; this runner serves {self._model}.")
        champion = self._predictor().runner.slots.champion
        self._serves(request, champion.version if champion else None)

    def _serves(self, request: Request, version: str | None) -> None:
        wanted = request.path_params.get("version", version)
        if wanted != version:
            raise errors.NotFound(f"Version {wanted} of {self._model} does not serve; {f'version {version} does' if version else 'none does'}.")


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type=JSON)
