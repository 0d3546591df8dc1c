"""The table of roles is the code's, the routes' and the documentation's."""

import re
from pathlib import Path

import pytest
import yaml
from starlette.routing import Route

from services.gateway import access, metrics
from services.gateway.access import TABLE, Role
from services.gateway.app import create
from tests.gateway import CONTRACTS

DOCS = Path(__file__).resolve().parents[3] / "docs"


def never() -> object:
    raise AssertionError("creating the app must open nothing")


def test_every_route_is_in_the_table_and_nothing_else() -> None:
    app = create(CONTRACTS, never)  # type: ignore[arg-type]
    assert access.routes_of(app.routes) == set(TABLE)


def test_an_undecided_endpoint_and_a_stale_row_stop_the_start() -> None:
    routes = [Route(path, never, methods=[method]) for method, path in TABLE]
    access.check(routes)
    with pytest.raises(LookupError, match="no row for GET /new"):
        access.check([*routes, Route("/new", never, methods=["GET"])])
    with pytest.raises(LookupError, match=r"no endpoint for POST /predict/\{model\}"):
        access.check(routes[1:])


def test_the_documentation_shows_the_same_table() -> None:
    rows = re.findall(r"^\| `(\w+) (/\S*)` \| (\w+) \|", (DOCS / "endpoints.md").read_text(), re.MULTILINE)
    assert {(method, path): role for method, path, role in rows} == {route: role.name if isinstance(role, Role) else role for route, role in TABLE.items()}


def test_the_metrics_are_documented() -> None:
    entries = {entry["name"]: entry for entry in yaml.safe_load((DOCS / "metrics.yaml").read_text())}
    ours = [part for part in vars(metrics).values() if hasattr(part, "_labelnames")]
    assert ours
    for metric in ours:
        name = metric._name + ("_total" if metric._type == "counter" else "")
        entry = entries[name]
        assert (entry["type"], entry.get("labels", [])) == (metric._type, list(metric._labelnames)), name
        assert entry["meaning"], name
        assert entry["healthy"], name
