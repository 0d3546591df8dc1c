"""`POST /predict/{model}/batch`. docs/batch.md tells callers about it."""

import asyncio
import re
import time
from typing import IO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway import deadlines
from services.gateway.guard import admit
from services.gateway.predictions import idempotency
from services.gateway.predictions.batch import media, replay
from services.gateway.predictions.batch.assembly import Asked
from services.gateway.predictions.batch.compression import LEAST_BYTES, compressor
from services.gateway.predictions.batch.intake import receive
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.batch.prepare import opened, preparing
from services.gateway.predictions.batch.service import Answer
from services.gateway.predictions.contracts import Contract, named
from services.gateway.state import State
from services.kit.errors import BadRequest

PATH = "/predict/{model}/batch"
ON_ERROR = ("fail", "skip")
POLICY = re.compile(r"[0-9]{1,18}", re.ASCII)
PIECE = 128 * 1024
SMALL_BYTES = 256 * 1024
"""A larger body, or one that may become larger, needs one of the few places for large batches."""
CONTENT_TYPES = {Form.json: "application/json", Form.ndjson: "application/x-ndjson", Form.csv: "text/csv; charset=utf-8; header=present"}


async def predict_batch(request: Request) -> Response:
    started = time.perf_counter()
    state: State = request.app.state.gateway
    principal = await admit(request.scope, state, PATH)
    contract = named(state.contracts, request.path_params["model"])
    headers = request.headers
    form = media.form_of_request(headers.get("content-type", ""))
    answers = media.form_of_answer(headers.get("accept"), form)
    coding = media.coding_of_request(headers.get("content-encoding", ""))
    skips = _on_error(request) == "skip"
    version, policy = request.query_params.get("version"), _policy_version(request)
    allowed = seconds(request, contract)
    given = idempotency.given(request.scope)
    state.journal.check(contract.spools and given is None)
    settings = state.settings
    with await receive(request, settings.max_batch_bytes) as file:
        deadline = asyncio.get_running_loop().time() + allowed
        async with state.batches.place(large=_is_large(file, form, coding), deadline=deadline):
            key = kept = None
            if given is not None:
                asked_for = (PATH, contract.name, form, coding or "", str(skips))
                key = await asyncio.to_thread(replay.key_of, principal.username, given, file, *(part.encode() for part in asked_for))
                kept = await idempotency.find(state, key, deadline)
            reader = await opened(file, form, coding, contract, settings)
            asked = Asked(contract, principal.username, request.scope["state"]["request_id"], answers, skips, deadline, started, key, version, policy)
            async with preparing(reader, contract, state.batches.turns, skips=skips, most_rows=settings.max_batch_rows) as prepared:
                answer, replayed = await replay.answer(state, asked, prepared, kept)
    made = {"X-Batch-ID": str(answer.batch_id), "X-Rows-Failed": str(prepared.failed), "Vary": "Accept, Accept-Encoding"}
    if replayed:
        made["Idempotency-Replayed"] = "true"
    else:
        state.spool.answered.add(answer.rows)
    return FileAnswer(answer, CONTENT_TYPES[answers], media.coding_of_answer(headers.get("accept-encoding")), made)


def _on_error(request: Request) -> str:
    given = request.query_params.get("on_error", "fail")
    if given not in ON_ERROR:
        raise BadRequest("on_error must be fail or skip.", errors=[{"field": "on_error", "rule": "fail or skip", "value": given[:50]}])
    return given


def _policy_version(request: Request) -> int | None:
    given = request.query_params.get("policy_version")
    if given is None:
        return None
    if not POLICY.fullmatch(given):
        raise BadRequest("policy_version must be a whole number.", errors=[{"field": "policy_version", "rule": "a whole number", "value": given[:50]}])
    return int(given)


def seconds(request: Request, contract: Contract) -> float:
    """From the end of the upload on. What nobody asks for with X-Request-Timeout is the most that anybody may: rows take time."""
    given = request.headers.get(deadlines.HEADER.decode())
    if given is not None:
        return deadlines.seconds(given.encode("latin-1"), contract.timeout)
    return min(deadlines.MOST_TIMES * contract.timeout, deadlines.MOST_SECONDS)


def _is_large(file: IO[bytes], form: Form, coding: str | None) -> bool:
    size = file.seek(0, 2)
    file.seek(0)
    return size > SMALL_BYTES or coding is not None or form is Form.parquet


class FileAnswer(Response):
    """Streams the answer as fast as the caller reads it, from the temporary file that has it."""

    def __init__(self, answer: Answer, media_type: str, coding: str | None, headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers, media_type)
        self._file = answer.file
        self._coding = coding if answer.size >= LEAST_BYTES else None
        del self.headers["content-length"]
        if self._coding:
            self.headers["Content-Encoding"] = self._coding
        else:
            self.headers["Content-Length"] = str(answer.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            compress = compressor(self._coding) if self._coding else None
            while piece := file.read(PIECE):
                if compress is not None:
                    piece = await asyncio.to_thread(compress.compress, piece)
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": compress.flush() if compress else b""})
