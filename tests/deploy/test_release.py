"""`modelyard release` against a cluster of a few dictionaries, which answers kubectl and helm as a real one does."""

import json
from typing import Any

import pytest
import yaml

from services.cluster.place import Place
from services.cluster.release import PREVIOUS, Release
from services.local.failure import Failure

MODEL = "some_model"
NAME = "runner-some-model"
COLOUR = "modelyard.dev/colour"


class Cluster:
    """`helm` is the field manager that applied everything, or None when it was patched as Helm 3 does."""

    def __init__(self, helm: str | None = "helm", *, green: int = 1, versions: dict[str, str | None] | None = None) -> None:
        self.versions = versions or {"blue": "3", "green": "3"}
        self.owner = helm
        self.service: dict[str, Any] = {
            "kind": "Service",
            "metadata": {
                "name": NAME,
                "annotations": {"modelyard.dev/active-value": "blue", "meta.helm.sh/release-name": "ours", "meta.helm.sh/release-namespace": "here"},
            },
            "spec": {"selector": {"app": "runner", COLOUR: "blue"}},
        }
        self.replicas = {"blue": 1, "green": green}
        self.commands: list[tuple[str, ...]] = []
        self.fresh = True

    def run(self, *command: str, what: str, given: str | None = None) -> str:
        self.commands.append(command)
        match command:
            case ("helm", "get", "manifest", "ours", "-n", "here"):
                return yaml.safe_dump_all([self._rendered("service", NAME), *(self._rendered("deployment", f"{NAME}-{colour}") for colour in self.replicas)])
            case ("kubectl", "-n", "here", verb, *rest):
                return getattr(self, f"_{verb}")(*rest, what=what, given=given)
        raise AssertionError(command)

    def _rendered(self, kind: str, name: str) -> dict[str, Any]:
        if kind == "service":
            annotations = {"modelyard.dev/active-value": "blue"}
            return {"kind": "Service", "metadata": {"name": NAME, "annotations": annotations}, "spec": {"selector": {"app": "runner", COLOUR: "blue"}}}
        return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": self.replicas[name.rpartition("-")[2]]}}

    def _get(self, kind: str, *rest: str, what: str, given: str | None) -> str:
        if kind == "pods":
            colour = rest[1].rpartition("=")[2]
            return json.dumps({"items": [self._pod(colour, number) for number in range(self.replicas.get(colour, 1))]})
        found = self.service if kind == "service" else self._deployment(rest[0].rpartition("-")[2])
        if "--show-managed-fields" in rest and self.owner:
            fields = {"f:spec": {"f:selector": {}, "f:replicas": {}}} if kind != "service" else {"f:spec": {"f:selector": {f"f:{COLOUR}": {}}}}
            found["metadata"]["managedFields"] = [{"manager": self.owner, "operation": "Apply", "fieldsV1": fields}]
        return json.dumps(found)

    def _deployment(self, colour: str) -> dict[str, Any]:
        status = {"observedGeneration": 1, "updatedReplicas": self.replicas[colour] if self.fresh else 0}
        template = {"spec": {"containers": [{"image": f"runner:{colour}"}]}}
        notes = {"meta.helm.sh/release-name": "ours"}
        return {"metadata": {"generation": 1, "annotations": notes}, "spec": {"replicas": self.replicas[colour], "template": template}, "status": status}

    def _pod(self, colour: str, number: int) -> dict[str, Any]:
        statuses = [{"restartCount": 0}]
        return {
            "metadata": {"name": f"{colour}-{number}"},
            "status": {"phase": "Running", "podIP": f"10.0.0.{number}", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": statuses},
        }

    def _exec(self, pod: str, *rest: str, what: str, given: str | None) -> str:
        version = self.versions.get(pod.partition("-")[0])
        return json.dumps({"champion": {"version": version} if version else None, "policy": {"version": 1} if version else None})

    def _annotate(self, kind: str, name: str, *rest: str, what: str, given: str | None) -> str:
        self.service["metadata"]["annotations"] |= dict(note.split("=", 1) for note in rest if not note.startswith("--"))
        return ""

    def _patch(self, kind: str, name: str, *rest: str, what: str, given: str | None) -> str:
        return self._take(kind, name, json.loads(rest[-1]))

    def _apply(self, *rest: str, what: str, given: str | None) -> str:
        assert rest[:3] == ("--server-side", "--force-conflicts", f"--field-manager={self.owner}")
        applied = json.loads(given or "")
        assert applied["metadata"]["annotations"]["meta.helm.sh/release-name"] == "ours", "what is left out is removed"
        return self._take(applied["kind"].lower(), applied["metadata"]["name"], applied)

    def _take(self, kind: str, name: str, document: dict[str, Any]) -> str:
        if kind == "service":
            self.service["spec"]["selector"] = self.service["spec"]["selector"] | document["spec"]["selector"]
        else:
            self.replicas[name.rpartition("-")[2]] = document["spec"]["replicas"]
        return ""

    @property
    def active(self) -> str:
        return str(self.service["spec"]["selector"][COLOUR])


def release(cluster: Cluster) -> Release:
    return Release(MODEL, Place("here", run=cluster.run), look_up_seconds=0)


@pytest.mark.parametrize("owner", ["helm", "flux", None])
def test_a_switch_changes_the_selector_as_its_owner_and_remembers_what_was_before(owner: str | None) -> None:
    cluster, said = Cluster(owner), []
    release(cluster).switch("green", said.append)
    state = release(cluster).state()
    assert (state.active, state.previous) == ("green", "blue")
    verbs = [command[3] for command in cluster.commands if command[0] == "kubectl"]
    assert ("apply" in verbs, "patch" in verbs) == (owner is not None, owner is None)
    assert "every gateway asks green" in said[-1]
    release(cluster).switch("blue", said.append)
    assert (cluster.active, cluster.service["metadata"]["annotations"][PREVIOUS]) == ("blue", "green")


@pytest.mark.parametrize(
    ("versions", "fresh", "why"),
    [
        ({"blue": "3", "green": "2"}, True, "green-0 serves version 2, and not version 3 with policy 1"),
        ({"blue": "3", "green": None}, True, "green-0 serves no version, and not version 3 with policy 1"),
        ({"blue": "3", "green": "3"}, False, "1 of 1 pods are ready and of its newest image"),
    ],
)
def test_a_colour_that_is_less_well_does_not_take_over(versions: dict[str, str | None], fresh: bool, why: str) -> None:
    cluster = Cluster(versions=versions)
    cluster.fresh = fresh
    with pytest.raises(Failure) as failure:
        release(cluster).switch("green", print)
    assert failure.value.message == f"green cannot take over: {why}; blue goes on answering"
    assert cluster.active == "blue"


def test_while_nothing_has_been_promoted_both_are_well() -> None:
    cluster = Cluster(versions={"blue": None, "green": None})
    release(cluster).switch("green", print)
    assert cluster.active == "green"


def test_a_colour_that_sleeps_is_woken() -> None:
    cluster = Cluster(green=0)
    release(cluster).switch("green", print)
    assert (cluster.active, cluster.replicas["green"]) == ("green", 1)


def test_a_runner_without_colours_says_how_to_get_some() -> None:
    cluster = Cluster()
    del cluster.service["spec"]["selector"][COLOUR]
    with pytest.raises(Failure) as failure:
        release(cluster).switch("green", print)
    assert (failure.value.message, failure.value.hint) == (f"{NAME} has no colours", f"the value runners.{MODEL}.strategy: bluegreen gives it some")


def test_the_colour_that_answers_is_not_switched_to() -> None:
    with pytest.raises(Failure, match="blue answers already"):
        release(Cluster()).switch("blue", print)
