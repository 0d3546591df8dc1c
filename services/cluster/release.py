"""Blue and green of a runner: two Deployments, and one Service whose selector says which of them answers.

The selector is Helm's. Whoever changes a field of it by `kubectl patch` becomes a second owner, and the next `helm upgrade` or `helm rollback` that
wants another value is refused (server-side apply). So a change is applied here as Helm itself would: its own manifest with another value, under its
name. What only we need to know (which colour was there before) stands in annotations of our own, which Helm never touches.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from services.cluster.place import Place
from services.local.failure import Failure

Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, Colour] = ("blue", "green")
COLOUR = "modelyard.dev/colour"
PREVIOUS = "modelyard.dev/previous-colour"
SWITCHED = "modelyard.dev/switched-at"
MANAGER = "modelyard-release"
HEALTHY_SECONDS = 180.0
FOLLOW_SECONDS = 90.0
LOOK_UP_SECONDS = 1.0
"""How often a gateway looks up the names of runners."""

SLOTS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:3000/slots', timeout=5).read().decode())"
RESOLVES = """
import socket, sys, time
host, wanted, until = sys.argv[1], set(sys.argv[2:]), time.monotonic() + {seconds}
while True:
    try:
        found = {{entry[4][0] for entry in socket.getaddrinfo(host, 3000, type=socket.SOCK_STREAM)}}
    except OSError:
        found = set()
    if found and found <= wanted:
        sys.exit()
    if time.monotonic() > until:
        sys.exit("it is still told " + (", ".join(sorted(found)) or "that there is nobody"))
    time.sleep(0.1)
"""


@dataclass(frozen=True)
class Pod:
    name: str
    address: str
    waits: str | None
    """Why it is not ready; None when it is."""
    restarts: int
    version: str | None
    """That it serves; None while it serves none."""
    policy: int | None


@dataclass(frozen=True)
class Side:
    """One of the two Deployments."""

    colour: Colour
    image: str
    wanted: int
    settled: bool
    """Kubernetes has seen its newest template, and all pods are of it."""
    pods: tuple[Pod, ...]

    @property
    def ready(self) -> int:
        return sum(pod.waits is None for pod in self.pods)

    def trouble(self, other: "Side") -> str | None:
        """Why it cannot take over from the other; None when it can."""
        if not self.wanted:
            return "it has no pods"
        for pod in self.pods:
            if pod.waits is not None:
                return f"{pod.name} is not ready ({pod.waits})"
        if not self.settled or self.ready < self.wanted:
            return f"{self.ready} of {self.wanted} pods are ready and of its newest image"
        served = {(pod.version, pod.policy) for pod in other.pods if pod.waits is None and pod.version is not None}
        late = [pod for pod in self.pods if served and (pod.version, pod.policy) not in served]
        if late:
            expected = " or ".join(f"version {version}" + (f" with policy {policy}" if policy else "") for version, policy in sorted(served, key=str))
            return f"{late[0].name} serves {f'version {late[0].version}' if late[0].version else 'no version'}, and not {expected}"
        return None


@dataclass(frozen=True)
class State:
    model: str
    active: Colour
    previous: Colour | None
    switched_at: str | None
    blue: Side
    green: Side

    def side(self, colour: Colour) -> Side:
        return self.blue if colour == "blue" else self.green


def other(colour: Colour) -> Colour:
    return COLOURS[1 - COLOURS.index(colour)]


class Release:
    def __init__(self, model: str, place: Place, look_up_seconds: float = LOOK_UP_SECONDS) -> None:
        self.model = model
        self.name = f"runner-{model.replace('_', '-')}"
        self._place = place
        self._look_up_seconds = look_up_seconds

    def state(self) -> State:
        """Raises Failure, for a runner without colours among other things."""
        service = self._place.document("service", self.name)
        active = service["spec"]["selector"].get(COLOUR)
        if active not in COLOURS:
            raise Failure(f"{self.name} has no colours", f"the value runners.{self.model}.strategy: bluegreen gives it some")
        notes = service["metadata"].get("annotations", {})
        blue, green = (self._side(colour) for colour in COLOURS)
        return State(self.model, active, notes.get(PREVIOUS), notes.get(SWITCHED), blue, green)

    def switch(self, to: Colour, say: Callable[[str], None]) -> None:
        """Returns when every gateway has followed. Raises Failure, before anything has changed, if that colour is not as healthy as the other."""
        before = self.state()
        if before.active == to:
            raise Failure(f"{self.name}: {to} answers already")
        side = self._healthy(before, to, say)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        notes = (f"{PREVIOUS}={before.active}", f"{SWITCHED}={now}")
        self._place.kubectl("annotate", "service", self.name, "--overwrite", f"--field-manager={MANAGER}", *notes, what="the switch could not be noted")
        began = time.monotonic()
        self._change("service", {"spec": {"selector": {COLOUR: to}}}, self.name)
        say(f"{self.name}: {before.active} → {to}; the Service names it")
        self._followed(side, say)
        say(f"{self.name}: every gateway asks {to}, {time.monotonic() - began:.1f} s after the switch; {before.active} still runs, for `undo`")

    def _healthy(self, state: State, to: Colour, say: Callable[[str], None]) -> Side:
        """The colour with at least as many pods as the one that answers, all of them well. An idle one may have been sent to sleep: it is woken."""
        side, active = state.side(to), state.side(state.active)
        if side.wanted < active.wanted:
            say(f"{self.name}: {to} gets {active.wanted} pods")
            self._change("deployment", {"spec": {"replicas": active.wanted}}, f"{self.name}-{to}")
            deadline = time.monotonic() + HEALTHY_SECONDS
            while (side := self._side(to)).wanted < active.wanted or side.trouble(active) is not None:
                if time.monotonic() > deadline:
                    break
                time.sleep(1)
        trouble = side.trouble(active)
        if trouble is not None:
            hint = f"kubectl -n {self._place.namespace} logs deployment/{self.name}-{to}"
            raise Failure(f"{to} cannot take over: {trouble}; {state.active} goes on answering", hint)
        return side

    def _followed(self, side: Side, say: Callable[[str], None]) -> None:
        """Waits until the name means that colour's pods wherever a gateway runs: answers of DNS are kept for up to their time to live."""
        found = self._place.documents("pods", "-l", "app.kubernetes.io/component=gateway")
        names = [pod["metadata"]["name"] for pod in found if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]]
        script = RESOLVES.format(seconds=FOLLOW_SECONDS)

        def wait(gateway: str) -> None:
            addresses = [pod.address for pod in side.pods]
            command = ("exec", gateway, "-c", "gateway", "--", "python", "-c", script, self.name, *addresses)
            self._place.kubectl(*command, what=f"{gateway} has not followed after {FOLLOW_SECONDS:.0f} s; nothing fails by it, both colours run")

        say(f"{self.name}: waiting for the DNS of {len(names)} gateways")
        with ThreadPoolExecutor(max(len(names), 1)) as threads:
            for _ in threads.map(wait, names):
                pass
        time.sleep(self._look_up_seconds)

    def _side(self, colour: Colour) -> Side:
        deployment = self._place.document("deployment", f"{self.name}-{colour}")
        spec, status = deployment["spec"], deployment.get("status", {})
        wanted = spec.get("replicas", 1)
        settled = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and status.get("updatedReplicas", 0) == wanted
        found = self._place.documents("pods", "-l", f"modelyard.dev/model={self.model},{COLOUR}={colour}")
        pods = tuple(self._pod(pod) for pod in found if "deletionTimestamp" not in pod["metadata"])
        return Side(colour, spec["template"]["spec"]["containers"][0]["image"], wanted, settled, pods)

    def _pod(self, pod: dict[str, Any]) -> Pod:
        name, status = pod["metadata"]["name"], pod["status"]
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        reasons = [one["state"]["waiting"]["reason"] for one in status.get("containerStatuses", []) if "waiting" in one.get("state", {})]
        slots: dict[str, Any] = {}
        if ready:
            slots = json.loads(self._place.kubectl("exec", name, "-c", "runner", "--", "python", "-c", SLOTS, what=f"{name} does not say what it serves"))
        champion, policy = slots.get("champion") or {}, slots.get("policy") or {}
        restarts = sum(one.get("restartCount", 0) for one in status.get("containerStatuses", []))
        return Pod(
            name, status.get("podIP", ""), None if ready else "".join(reasons[:1]) or "starting", restarts, champion.get("version"), policy.get("version")
        )

    def _change(self, kind: str, change: dict[str, Any], name: str) -> None:
        """As the owner of the object would do it: see at the top."""
        live = self._place.document(kind, name, "--show-managed-fields")
        owners = [one["manager"] for one in live["metadata"].get("managedFields", []) if one["operation"] == "Apply" and _owns(one["fieldsV1"], change)]
        if not owners:
            self._place.kubectl(
                "patch", kind, name, "--type=merge", f"--field-manager={MANAGER}", "-p", json.dumps(change), what=f"{name} could not be changed"
            )
            return
        notes = {key: value for key, value in live["metadata"].get("annotations", {}).items() if key.startswith("meta.helm.sh/")}
        manifest = self._manifest(kind, name, notes["meta.helm.sh/release-name"])
        overlay(manifest, change)
        overlay(manifest, {"metadata": {"annotations": notes}})
        command = ("apply", "--server-side", "--force-conflicts", f"--field-manager={owners[0]}", "-f", "-")
        self._place.kubectl(*command, what=f"{name} could not be changed", given=json.dumps(manifest))

    def _manifest(self, kind: str, name: str, release: str) -> dict[str, Any]:
        said = self._place.helm("get", "manifest", release, what=f"helm does not know the release {release}")
        for document in yaml.safe_load_all(said):
            if document and (document["kind"].lower(), document["metadata"]["name"]) == (kind, name):
                return dict(document)
        raise Failure(f"the release {release} has no {kind} {name}")


def overlay(base: dict[str, Any], change: dict[str, Any]) -> None:
    """Lays the second over the first, in place."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            overlay(base[key], value)
        else:
            base[key] = value


def _owns(fields: dict[str, Any], change: dict[str, Any]) -> bool:
    """Whether a manager's field set has every field of the change."""
    return all(
        f"f:{key}" in fields and (not isinstance(value, dict) or _owns(fields[f"f:{key}"], value) or fields[f"f:{key}"] == {}) for key, value in change.items()
    )
