"""/docs, which needs nobody else's server: the files of Swagger UI come with a package."""

from importlib.resources import files
from typing import Literal

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response

from services.gateway.guard import GuardedRoute

router = APIRouter(prefix="/docs", route_class=GuardedRoute, include_in_schema=False)

FOLDER = files("fastapi_offline") / "static"
KINDS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon.png": "image/png"}
Asset = Literal["swagger-ui.css", "swagger-ui-bundle.js", "favicon.png"]


@router.get("")
async def page() -> HTMLResponse:
    """Addresses are relative, so that it works also below a path."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Modelyard",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "docExpansion": "none", "persistAuthorization": False, "tryItOutEnabled": True},
    )


@router.get("/{asset}")
async def asset(asset: Asset) -> Response:
    content = (FOLDER / asset).read_bytes()
    return Response(content, media_type=KINDS[asset], headers={"Cache-Control": "public, max-age=86400"})
