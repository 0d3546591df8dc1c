"""What is said of all operations alike: who may call them, how they can fail, an example of what goes in and out, and their order."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.routing import APIRoute

from services.gateway.access import PUBLIC, TABLE, Role
from services.gateway.documentation.examples import Sampler
from services.gateway.problems import problems

TAGS = {
    "predict": "Ask a model about one row or many, and read again what was answered.",
    "outcomes": "Tell what really happened.",
    "explanations": "Why a model answered as it did.",
    "reports": "Predictions, batches and versions as documents to send on.",
    "models": "Which versions there are, how good they are, which one serves and who decided that.",
    "lineage": "What an answer stands on, whether it comes again, what served when, and whether the records are what was written.",
    "workflows": "Train, score, predict and make data sets, step by step.",
    "crypto": "Assets, their candles and forecasts.",
    "open inference protocol": "The same predictions for clients of the Open Inference Protocol (V2).",
    "auth": "Log in, and look after the own account and its API keys.",
    "users": "Look after accounts, as an administrator.",
    "operations": "Whether the gateway can do its work.",
}
"""In reading order."""
SECURITY = {
    "accessToken": {"type": "http", "scheme": "bearer", "description": "An access token from /auth/login, or an API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
WITHOUT_DATABASE = {"/livez", "/health", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready"}
LIMITED = "/auth/login"

Operation = dict[str, Any]


def name(routes: Iterable[object]) -> None:
    """Operation ids that make good names of functions: group and what it does."""
    for route in routes:
        if isinstance(route, APIRoute):
            group = str(route.tags[0]) if route.tags else "other"
            route.operation_id = f"{group}_{route.name}".replace(" ", "_")


def finish(document: dict[str, Any], operation: Operation, route: tuple[str, str], models: list[str]) -> None:
    needed = TABLE[route]
    text = operation.get("description", "").strip() or operation.get("summary", "")
    operation["summary"] = text.partition("\n")[0].partition(". ")[0].rstrip(".")
    parameters = [one for one in operation.get("parameters", ()) if not (one["name"] == "if-none-match" and one["in"] == "header")]
    _responses(operation, route, parameters)
    if needed != PUBLIC:
        operation["security"] = [{scheme: []} for scheme in SECURITY]
        operation["description"] = f"{text}\n\nRole: {needed.name}.".strip()
    sampler = Sampler(document["components"]["schemas"], models[0] if models else "none")
    for parameter in parameters:
        if parameter["name"] == "model" and parameter["in"] == "path":
            parameter["schema"] = {"type": "string", "enum": models}
        if "example" not in parameter and (value := sampler.of(parameter["schema"], parameter["name"])) is not None and parameter["in"] == "path":
            parameter["example"] = value
    if "requestBody" in operation:
        _name_models(document, operation["requestBody"]["content"], models)
        _exemplify(operation["requestBody"]["content"], sampler)
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            _exemplify(response.get("content", {}), sampler)


def _name_models(document: dict[str, Any], content: dict[str, Any], models: list[str]) -> None:
    """A model that a body names is one that there is."""
    schema = content.get("application/json", {}).get("schema", {})
    body = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
    if body.get("properties", {}).get("model", {}).get("type") == "string":
        body["properties"]["model"]["enum"] = models


def _exemplify(content: dict[str, Any], sampler: Sampler) -> None:
    for media, part in content.items():
        if "json" in media and "x-" not in media and "example" not in part and "examples" not in part and "jsonl" not in media:
            part["example"] = sampler.of(part.get("schema", {}))


def _responses(operation: Operation, route: tuple[str, str], parameters: list[Operation]) -> None:
    """Those that it was given, and those that follow from its form."""
    needed, body = TABLE[route], "requestBody" in operation
    wrong: set[int] = set()
    if needed != PUBLIC:
        wrong |= {401, 429, 503}
        wrong |= {403} if needed > Role.viewer else set()
    elif route[1] not in WITHOUT_DATABASE:
        wrong |= {401, 503} | ({429} if route[1] == LIMITED else set())
    if body:
        wrong |= {400, 408, 413, 415, 422}
    if any(one["in"] == "query" or (one["in"] == "path" and one["name"] != "model") for one in parameters):
        wrong.add(422)
    if any(one["in"] == "path" for one in parameters) or "{" in route[1]:
        wrong.add(404)
    given: dict[str, Any] = {code: response for code, response in operation["responses"].items() if code != "422"}
    made = {str(code): response for code, response in problems(*sorted(wrong)).items()}
    operation["responses"] = dict(sorted((made | given).items()))


def ordered(document: dict[str, Any]) -> None:
    """Tags in reading order, and paths in the order of their tags."""
    order = list(TAGS)
    used = {tag for operations in document["paths"].values() for operation in operations.values() for tag in operation.get("tags", ())}
    document["tags"] = [{"name": tag, "description": text} for tag, text in TAGS.items() if tag in used]

    def place(operations: Mapping[str, Operation]) -> int:
        return min((order.index(tag) for operation in operations.values() for tag in operation.get("tags", ()) if tag in order), default=len(order))

    document["paths"] = dict(sorted(document["paths"].items(), key=lambda item: place(item[1])))
