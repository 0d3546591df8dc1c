"""The part of the Kubernetes API that control uses, over HTTP, with Workflows as Argo left them in a real cluster."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.fakes import Served

RECORDED = Path(__file__).parent / "unit/control/argo/recorded"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/{}/workflows"
COMPLETED = "workflows.argoproj.io/completed"


def recorded(story: str) -> dict[str, Any]:
    """A Workflow of Argo 3.7.9 with its nodes; without the template's copy and what the API server keeps for itself."""
    found: dict[str, Any] = json.loads((RECORDED / f"{story}.json").read_text())
    return found


class KubernetesServer(Served):
    """`async with KubernetesServer(folder) as cluster:` and KUBECONFIG names `cluster.kubeconfig`. What Argo's controller would do, `play` does."""

    NAMESPACE = "yard"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.kubeconfig = folder / "kubeconfig"
        self.workflows: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, str] = {}
        """Phase by name; every pod of a Workflow begins with its name."""
        self.logs: dict[str, str] = {}
        self.refuses: dict[str, tuple[int, str]] = {}
        """Status and message by the last word of a path, or by the method and that."""
        self.installed = True
        self.asked: list[str] = []

    async def __aenter__(self) -> "KubernetesServer":
        await super().__aenter__()
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": self.NAMESPACE}}],
                    "clusters": [{"name": "test", "cluster": {"server": self.url}}],
                    "users": [{"name": "test", "user": {"token": "a-token"}}],
                }
            )
        )
        return self

    def play(self, name: str, story: str) -> dict[str, Any]:
        """Lets a Workflow stand as a recorded one stood."""
        found = recorded(story)
        renamed: dict[str, Any] = json.loads(json.dumps(found).replace(found["metadata"]["name"], name))
        workflow = self.workflows[name]
        workflow["status"] = renamed["status"]
        if renamed["status"]["phase"] not in ("Running", "Pending"):
            workflow["metadata"].setdefault("labels", {})[COMPLETED] = "true"
        return workflow

    def add(self, story: str) -> dict[str, Any]:
        """A recorded Workflow as it was."""
        found = recorded(story)
        self.workflows[found["metadata"]["name"]] = found
        return found

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        place, pods = WORKFLOWS.format(self.NAMESPACE), f"/api/v1/namespaces/{self.NAMESPACE}/pods"
        word = request.path.rpartition("/")[2]
        refused = self.refuses.get(word) or self.refuses.get(f"{request.method} {word}")
        if refused:
            return _status(*refused)
        if request.headers.get("Authorization") != "Bearer a-token":
            return _status(401, "Unauthorized")
        if request.path.startswith("/apis/argoproj.io") and not self.installed:
            return web.Response(status=404, text="404 page not found\n")
        if request.path == place:
            return await self._create(request) if request.method == "POST" else self._list(request)
        if request.path.startswith(place):
            return await self._one(request, request.path.rpartition("/")[2])
        if request.path == pods:
            owner = request.query["labelSelector"].removeprefix("workflows.argoproj.io/workflow=")
            found = [{"metadata": {"name": name}, "status": {"phase": phase}} for name, phase in self.pods.items() if name.startswith(owner)]
            return web.json_response({"kind": "PodList", "items": found})
        if request.path.startswith(pods) and request.path.endswith("/log"):
            name = request.path.split("/")[-2]
            assert request.query["container"] == "main"
            return web.Response(text=self.logs[name]) if name in self.logs else _status(404, f'pods "{name}" not found', name)
        return _status(404, "the server could not find the requested resource")

    def _list(self, request: web.Request) -> web.Response:
        unfinished = request.query.get("labelSelector") == f"{COMPLETED}!=true"
        items = [one for one in self.workflows.values() if not (unfinished and one["metadata"].get("labels", {}).get(COMPLETED) == "true")]
        return web.json_response({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowList", "metadata": {"resourceVersion": "1"}, "items": items})

    async def _create(self, request: web.Request) -> web.Response:
        manifest = await request.json()
        name = manifest["metadata"]["name"]
        if name in self.workflows:
            return _status(409, f'workflows.argoproj.io "{name}" already exists', name)
        manifest["metadata"] |= {"namespace": self.NAMESPACE, "uid": str(uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        self.workflows[name] = manifest
        return web.json_response(manifest, status=201)

    async def _one(self, request: web.Request, name: str) -> web.Response:
        workflow = self.workflows.get(name)
        if workflow is None:
            return _status(404, f'workflows.argoproj.io "{name}" not found', name)
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            workflow["spec"] |= json.loads(await request.read())["spec"]
        return web.json_response(workflow)


def _status(code: int, message: str, name: str | None = None) -> web.Response:
    details = {"name": name, "group": "argoproj.io", "kind": "workflows"} if name else {}
    return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "details": details, "code": code}, status=code)
