"""What a client hears when the database is away or cannot hold a value: 503 and 422, not 500."""

import logging

import psycopg
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.kit.errors import Invalid, Problem, Unavailable
from services.kit.http import problem_response

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(psycopg.OperationalError, _away)
    app.add_exception_handler(psycopg.DataError, _refused)


def _answer(request: Request, problem: Problem) -> Response:
    return problem_response(problem, request.state.request_id)


async def _away(request: Request, error: Exception) -> Response:
    log.error("the database is away", extra={"error": str(error), "path": request.url.path})
    return _answer(request, Unavailable("The database does not answer; try again.", retry_after=2))


async def _refused(request: Request, error: Exception) -> Response:
    return _answer(request, Invalid(f"The database cannot hold such a value: {str(error).splitlines()[0]}."))
