"""Which problems an operation may answer with, for its description. openapi.py adds those that follow from its form: no credentials, a bad body …"""

from typing import Any

from services.kit import errors
from services.kit.errors import Problem

Responses = dict[int | str, dict[str, Any]]

CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
TITLES = {kind.status: kind.title for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)}


def problems(*statuses: int) -> Responses:
    return {status: {"description": TITLES[status], "content": CONTENT} for status in statuses}


def of_control(*statuses: int) -> Responses:
    """Of what control is asked for: it may be away or slow, or give an answer that is not understood."""
    return problems(*statuses, 502, 503, 504)
