from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tests.deploy.cases import CASES
from tests.deploy.chart import Document, render


@cache
def rendered(case: str, upgrade: bool) -> Sequence[Document]:
    values, files = CASES[case]
    return tuple(render(values, *files, upgrade=upgrade))


@pytest.fixture(params=[(case, upgrade) for case in CASES for upgrade in (False, True)], ids=lambda one: f"{one[0]}{', upgraded' * one[1]}")
def documents(request: pytest.FixtureRequest) -> Sequence[Document]:
    """All objects of one of the combinations, installed or upgraded. They are shared: nobody may change them."""
    case: tuple[str, bool] = request.param
    return rendered(*case)


@pytest.fixture
def defaults() -> Sequence[Document]:
    return rendered("defaults", upgrade=False)


@pytest.fixture
def everything() -> Sequence[Document]:
    return rendered("everything", upgrade=False)


def names(documents: Sequence[Document]) -> list[tuple[Any, ...]]:
    return [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in documents]
