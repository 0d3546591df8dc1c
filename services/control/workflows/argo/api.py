"""The part of the Kubernetes API that control needs. The client is synchronous: each call has a thread and a time-out.

Pods are read below the client's typed functions, whose import alone would take 24 MB.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kubernetes import config
from kubernetes.client.api.custom_objects_api import CustomObjectsApi
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError, MaxRetryError

T = TypeVar("T")
Object = dict[str, Any]

GROUP, VERSION, WORKFLOWS = "argoproj.io", "v1alpha1", "workflows"
SECONDS = (3, 15)
"""To connect, and to answer."""
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MAIN = "main"
"""Argo's name for the container that does the work."""
UNFINISHED = "workflows.argoproj.io/completed!=true"
TERMINATE = {"spec": {"shutdown": "Terminate"}}
MERGE = "application/merge-patch+json"
MOST_LINES = 20_000


class Absent(Exception):
    """Argo cannot be had now. The message says why, for people."""


@dataclass(frozen=True)
class Connection:
    client: ApiClient
    objects: CustomObjectsApi
    host: str
    namespace: str


class Api:
    """Connects when first asked, so that control starts wherever it is. Every call raises Absent when it cannot be answered."""

    def __init__(self, namespace: str | None) -> None:
        self._namespace = namespace
        self._connection: Connection | None = None

    async def unfinished(self) -> list[Object]:
        return await self._listed(UNFINISHED)

    async def workflows(self) -> list[Object]:
        """All that Argo still keeps."""
        return await self._listed("")

    async def _listed(self, selector: str) -> list[Object]:
        def ask(c: Connection) -> Any:
            return c.objects.list_namespaced_custom_object(GROUP, VERSION, c.namespace, WORKFLOWS, label_selector=selector, _request_timeout=SECONDS)

        found: list[Object] = (await self._call(ask))["items"]
        return found

    async def workflow(self, name: str) -> Object | None:
        def ask(c: Connection) -> Any:
            return c.objects.get_namespaced_custom_object(GROUP, VERSION, c.namespace, WORKFLOWS, name, _request_timeout=SECONDS)

        found: Object | None = await self._found(ask)
        return found

    async def create(self, manifest: Object) -> None:
        """That it is there already is fine: its name tells that it is the same."""

        def ask(c: Connection) -> Any:
            return c.objects.create_namespaced_custom_object(GROUP, VERSION, c.namespace, WORKFLOWS, manifest, _request_timeout=SECONDS)

        try:
            await self._call(ask)
        except ApiException as error:
            if error.status == 404:
                raise Absent(f"there is no place for a Workflow: {said(error)}") from None
            if error.status != 409:
                raise

    async def terminate(self, name: str) -> bool:
        """False when there is no such Workflow."""

        def ask(c: Connection) -> Any:
            return c.objects.patch_namespaced_custom_object(
                GROUP, VERSION, c.namespace, WORKFLOWS, name, TERMINATE, _content_type=MERGE, _request_timeout=SECONDS
            )

        return await self._found(ask) is not None

    async def pods(self, workflow: str) -> dict[str, str]:
        """Phase by name, of those that are left."""
        selector = [("labelSelector", f"workflows.argoproj.io/workflow={workflow}")]
        items = json.loads(await self._call(lambda c: _read(c, f"/api/v1/namespaces/{c.namespace}/pods", selector)))["items"]
        return {pod["metadata"]["name"]: pod.get("status", {}).get("phase", "Pending") for pod in items}

    async def log(self, pod: str) -> str | None:
        """What its main container wrote; None when there is no such pod, or the container has not begun."""
        query = [("container", MAIN), ("tailLines", str(MOST_LINES))]
        try:
            found: bytes | None = await self._found(lambda c: _read(c, f"/api/v1/namespaces/{c.namespace}/pods/{pod}/log", query))
        except ApiException as error:
            if error.status == 400:  # ContainerCreating, PodInitializing
                return None
            raise
        return None if found is None else found.decode(errors="replace")

    async def _found(self, ask: Callable[[Connection], Any]) -> Any:
        try:
            return await self._call(ask)
        except ApiException as error:
            if error.status != 404:
                raise
            return None

    async def _call(self, ask: Callable[[Connection], T]) -> T:
        """Raises ApiException for what concerns one object only."""
        try:
            return await asyncio.to_thread(self._ask, ask)
        except ApiException as error:
            raise self._absent(error) or error from None
        except MaxRetryError as error:
            raise Absent(f"the Kubernetes API at {self._host} does not answer: {error.reason}") from None
        except (HTTPError, OSError) as error:
            raise Absent(f"the Kubernetes API at {self._host} does not answer: {error}") from None
        except ConfigException as error:
            raise Absent(f"control does not know where the Kubernetes API is: {error}") from None

    def _ask(self, ask: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = _connect(self._namespace)
        return ask(self._connection)

    @property
    def _host(self) -> str:
        return self._connection.host if self._connection else "its address"

    def _absent(self, error: ApiException) -> Absent | None:
        """Why nothing of this kind could be done, or None when the refusal concerns one object."""
        words, about = said(error), _status(error).get("details") or {}
        if error.status == 404 and not about.get("name"):
            return Absent(f"Argo Workflows is not installed in the cluster at {self._host}: it knows no workflows.{GROUP}")
        if error.status == 403:
            return Absent(f"control's service account may not do that: {words}")
        if error.status == 401:
            return Absent(f"the Kubernetes API at {self._host} does not accept control's token: {words}")
        if error.status == 429 or error.status >= 500:
            return Absent(f"the Kubernetes API at {self._host} answers {error.status}: {words}")
        return None


def said(error: ApiException) -> str:
    return str(_status(error).get("message") or error.reason)


def _status(error: ApiException) -> Object:
    try:
        found = json.loads(error.body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(c: Connection, path: str, query: list[tuple[str, str]]) -> bytes:
    asked = c.client.param_serialize("GET", path, query_params=query, header_params={"Accept": "*/*"}, auth_settings=["BearerToken"])
    answer = c.client.call_api(*asked, _request_timeout=SECONDS)
    content: bytes = answer.read()  # type: ignore[no-untyped-call]
    if answer.status >= 300:
        raise ApiException(http_resp=answer)
    return content


def _connect(namespace: str | None) -> Connection:
    """As a pod's service account, else as the current context of KUBECONFIG. Raises ConfigException when there is neither."""
    settings = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ and (ACCOUNT / "token").exists():
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        own = (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    else:
        file = os.environ.get("KUBECONFIG")  # the client itself looks only once, when it is imported
        config.load_kube_config(file, client_configuration=settings)  # type: ignore[no-untyped-call]
        _, current = config.list_kube_config_contexts(file)  # type: ignore[no-untyped-call]
        own = current["context"].get("namespace") or "default"
    settings.retries = 0  # control asks again by itself, and says meanwhile that it cannot
    client = ApiClient(settings)
    return Connection(client, CustomObjectsApi(client), str(settings.host), namespace or own)
