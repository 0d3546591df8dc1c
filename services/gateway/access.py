"""Who may call what, as data. docs/endpoints.md shows the same table; tests walk all of it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal

from starlette.routing import BaseRoute, Route

from services.kit.errors import Forbidden


class Role(IntEnum):
    """Each role may do all that the ones before it may."""

    viewer = 1
    analyst = 2
    engineer = 3
    admin = 4


Public = Literal["public"]
PUBLIC: Public = "public"

TABLE: dict[tuple[str, str], Role | Public] = {
    ("POST", "/predict/{model}"): Role.viewer,
    ("POST", "/predict/{model}/batch"): Role.analyst,
    ("GET", "/predict/history"): Role.viewer,
    ("GET", "/predict/history/export"): Role.analyst,
    ("GET", "/predictions/{prediction_id}"): Role.viewer,
    ("POST", "/predictions/{prediction_id}/outcome"): Role.analyst,
    ("POST", "/predictions/outcomes"): Role.analyst,
    ("POST", "/auth/login"): PUBLIC,
    ("POST", "/auth/refresh"): PUBLIC,
    ("POST", "/auth/logout"): Role.viewer,
    ("POST", "/auth/signup"): Role.admin,
    ("GET", "/auth/users/me"): Role.viewer,
    ("PUT", "/auth/users/me"): Role.viewer,
    ("GET", "/auth/users"): Role.admin,
    ("DELETE", "/auth/users/{username}"): Role.admin,
    ("PUT", "/auth/users/{username}/role"): Role.admin,
    ("PUT", "/auth/users/{username}/active"): Role.admin,
    ("GET", "/auth/api-keys"): Role.viewer,
    ("POST", "/auth/api-keys"): Role.viewer,
    ("DELETE", "/auth/api-keys/{key_id}"): Role.viewer,
    ("GET", "/models"): Role.viewer,
    ("GET", "/models/{model}"): Role.viewer,
    ("GET", "/models/{model}/versions"): Role.viewer,
    ("GET", "/models/{model}/versions/{version}"): Role.viewer,
    ("GET", "/models/{model}/ledger"): Role.viewer,
    ("GET", "/models/{model}/traffic"): Role.viewer,
    ("POST", "/models/{model}/promote"): Role.engineer,
    ("POST", "/models/{model}/rollback"): Role.engineer,
    ("PUT", "/models/{model}/policy"): Role.engineer,
    ("GET", "/prediction/latest-prediction"): Role.viewer,
    ("GET", "/prediction/model-evaluation"): Role.viewer,
    ("GET", "/prediction/best-model"): Role.viewer,
    ("GET", "/prediction/models"): Role.viewer,
    ("POST", "/prediction/train"): Role.engineer,
    ("POST", "/prediction/score"): Role.analyst,
    ("POST", "/prediction/predict"): Role.analyst,
    ("POST", "/retrain"): Role.engineer,
    ("POST", "/generate"): Role.engineer,
    ("GET", "/workflows"): Role.viewer,
    ("GET", "/workflows/{run_id}"): Role.viewer,
    ("GET", "/workflows/{run_id}/logs"): Role.analyst,
    ("POST", "/workflows/{run_id}/stop"): Role.engineer,
    ("GET", "/v2"): PUBLIC,
    ("GET", "/v2/health/live"): PUBLIC,
    ("GET", "/v2/health/ready"): PUBLIC,
    ("GET", "/v2/models/{model}"): Role.viewer,
    ("GET", "/v2/models/{model}/ready"): Role.viewer,
    ("GET", "/v2/models/{model}/versions/{version}"): Role.viewer,
    ("GET", "/v2/models/{model}/versions/{version}/ready"): Role.viewer,
    # More than one row needs what a batch needs.
    ("POST", "/v2/models/{model}/infer"): Role.viewer,
    ("POST", "/v2/models/{model}/versions/{version}/infer"): Role.viewer,
    ("GET", "/health"): PUBLIC,
    ("GET", "/livez"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("POST", "/predict/{model}/explain"): Role.analyst,
    # Viewers: their own, as of the prediction itself.
    ("GET", "/predictions/{prediction_id}/explanation"): Role.viewer,
    ("GET", "/predictions/{prediction_id}/report.pdf"): Role.viewer,
    ("GET", "/predict/batches/{batch_id}"): Role.analyst,
    ("GET", "/predict/batches/{batch_id}/report.pdf"): Role.analyst,
    ("GET", "/predict/batches/{batch_id}/rows.csv"): Role.analyst,
    ("GET", "/models/{model}/versions/{version}/report.pdf"): Role.analyst,
    ("GET", "/docs/{asset}"): PUBLIC,
    ("GET", "/crypto/assets"): Role.viewer,
    ("POST", "/crypto/assets"): Role.admin,
    ("DELETE", "/crypto/assets/{asset_id}"): Role.admin,
    ("GET", "/crypto/kraken_assets"): Role.viewer,
    ("GET", "/crypto/asset_history/{asset}"): Role.viewer,
    ("GET", "/crypto/asset_latest/{asset}"): Role.viewer,
    ("POST", "/crypto/forecasts/{asset}"): Role.viewer,
    ("GET", "/crypto/forecasts/{asset}"): Role.viewer,
    # Viewers: their own, as of the prediction itself.
    ("GET", "/predictions/{prediction_id}/lineage"): Role.viewer,
    ("GET", "/predictions/{prediction_id}/reproduction"): Role.viewer,
    ("GET", "/predictions/{prediction_id}/proof"): Role.viewer,
    ("GET", "/models/{model}/at"): Role.viewer,
    ("GET", "/models/{model}/ledger/verify"): Role.viewer,
    ("GET", "/models/{model}/drift"): Role.viewer,
    ("POST", "/models/{model}/drift"): Role.analyst,
    ("POST", "/models/{model}/drift/evidently"): Role.analyst,
    ("GET", "/models/{model}/drift/evidently/{run_id}"): Role.viewer,
    ("GET", "/models/{model}/performance"): Role.viewer,
    ("GET", "/models/{model}/retrainings"): Role.viewer,
    ("GET", "/notifications"): Role.engineer,
    ("POST", "/models/{model}/challenger"): Role.engineer,
    ("POST", "/models/{model}/withdraw"): Role.engineer,
    ("GET", "/models/{model}/shadow"): Role.viewer,
    ("POST", "/models/{model}/replay"): Role.engineer,
    ("GET", "/models/{model}/scored/{run_id}"): Role.viewer,
    ("GET", "/models/{model}/scored/{run_id}/parts/{part}/answers"): Role.analyst,
    ("GET", "/models/{model}/scored/{run_id}/parts/{part}/refused"): Role.analyst,
}


def authorize(route: tuple[str, str], role: Role) -> None:
    """Raises Forbidden. A route that is not in the table is refused to everybody."""
    needed = TABLE[route]
    if needed != PUBLIC and role < needed:
        raise Forbidden(f"{route[0]} {route[1]} needs the role {needed.name} or a higher one; you are {role.name}.")


def routes_of(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    return {(method, route.path) for route in routes if isinstance(route, Route) for method in (route.methods or ()) if method != "HEAD"}


def check(routes: Iterable[BaseRoute]) -> None:
    """Raises LookupError unless the table and the routes are the same set, so that nobody can add an endpoint without deciding who may call it."""
    served = routes_of(routes)
    unknown = [f"no row for {method} {path}" for method, path in sorted(served - TABLE.keys())]
    stale = [f"no endpoint for {method} {path}" for method, path in sorted(TABLE.keys() - served)]
    if unknown or stale:
        raise LookupError(f"services/gateway/access.py: {'; '.join(unknown + stale)}")
