"""What no pod may have, what every pod must have, and who reaches whom."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from tests.deploy.cases import CASES, NOTIFICATIONS
from tests.deploy.chart import Document, Pod, of_kind, pods, render
from tests.deploy.flows import COMPONENTS, FLOWS, MARKET, PORTS, Flow


def test_pods_are_restricted(documents: Sequence[Document]) -> None:
    """Kubernetes' Pod Security Standard of that name, and more: a read-only root, and no way to the node."""
    for pod in pods(documents):
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security.get("runAsUser", 10001) > 0
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
        assert all({"name"} | {"emptyDir", "persistentVolumeClaim", "configMap", "secret", "projected"} >= volume.keys() for volume in pod.spec["volumes"])
        for container in pod.containers:
            own = container["securityContext"]
            assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, pod.owner
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_volumes_of_pods_are_bounded(documents: Sequence[Document]) -> None:
    for pod in pods(documents):
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod.spec["volumes"] if "emptyDir" in volume), pod.owner


def test_containers_ask_for_what_they_need_and_have_a_limit(documents: Sequence[Document]) -> None:
    """No limit of CPU: it would be felt in the slowest answers. One of memory: without it a leak is its neighbours' end."""
    for pod in pods(documents):
        for container in pod.containers:
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, pod.owner
            assert "memory" in container["resources"]["limits"], pod.owner


def test_a_laptop_holds_all_of_it() -> None:
    def milli(text: str) -> int:
        return int(text.removesuffix("m")) if text.endswith("m") else int(float(text) * 1000)

    documents = render({}, "kind")
    replicas = {f"{one['kind']}/{one['metadata']['name']}": one["spec"].get("replicas", 1) for one in documents if one["kind"] in {"Deployment", "StatefulSet"}}
    asked = {
        pod.owner: replicas[pod.owner] * sum(milli(c["resources"]["requests"]["cpu"]) for c in pod.containers)
        for pod in pods(documents)
        if pod.owner in replicas
    }
    assert sum(asked.values()) <= 600, asked


def test_images_have_a_version(documents: Sequence[Document]) -> None:
    for pod in pods(documents):
        for container in pod.containers:
            name, _, tag = container["image"].rpartition(":")
            assert name, container["image"]
            assert tag != "latest"
            assert container["imagePullPolicy"] == "IfNotPresent"


def test_only_control_has_a_token_of_the_cluster(documents: Sequence[Document]) -> None:
    workflows = "WorkflowTemplate" in {document["kind"] for document in documents}
    for pod in pods(documents):
        assert pod.spec["automountServiceAccountToken"] is (workflows and pod.owner == "Deployment/control"), pod.owner
        assert pod.spec["enableServiceLinks"] is False, "GATEWAY_PORT=tcp://… would be taken for a setting"
    for name, account in of_kind(documents, "ServiceAccount").items():
        assert account["automountServiceAccountToken"] is (name == "workflow")


def test_accounts_that_pods_name_are_there(documents: Sequence[Document]) -> None:
    named = {pod.spec["serviceAccountName"] for pod in pods(documents) if "serviceAccountName" in pod.spec}
    named |= {template["spec"]["serviceAccountName"] for template in of_kind(documents, "WorkflowTemplate").values()}
    accounts = of_kind(documents, "ServiceAccount").keys()
    assert named <= accounts
    assert accounts - named <= {"workflow"}


def test_rights_are_the_least(documents: Sequence[Document]) -> None:
    assert not {"ClusterRole", "ClusterRoleBinding"} & {document["kind"] for document in documents}
    rights = {
        name: {(group, resource): set(rule["verbs"]) for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]}
        for name, role in of_kind(documents, "Role").items()
        if name in {"control", "workflow"}
    }
    assert rights in (
        {},
        {
            "control": {("argoproj.io", "workflows"): {"create", "get", "list", "watch", "patch"}, ("", "pods"): {"get", "list"}, ("", "pods/log"): {"get"}},
            "workflow": {("argoproj.io", "workflowtaskresults"): {"create", "patch"}},
        },
    )


def test_a_pod_alone_has_no_disruption_budget(documents: Sequence[Document]) -> None:
    """It would keep its node from ever being emptied."""
    budgets = of_kind(documents, "PodDisruptionBudget")
    workloads = of_kind(documents, "Deployment") | of_kind(documents, "StatefulSet")
    fewest = {name: scaler["spec"]["minReplicas"] for name, scaler in of_kind(documents, "HorizontalPodAutoscaler").items()}
    fewest |= {name: scaler["spec"]["minReplicaCount"] for name, scaler in of_kind(documents, "ScaledObject").items()}
    for name, workload in workloads.items():
        many = fewest.get(name, workload["spec"].get("replicas")) > 1
        assert (name in budgets) is many, name
        if many:
            assert budgets[name]["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_no_update_takes_a_pod_away_before_its_successor_is_there(documents: Sequence[Document]) -> None:
    for name, deployment in of_kind(documents, "Deployment").items():
        strategy = deployment["spec"]["strategy"]
        alone = name in {"mlflow", "prometheus", "alertmanager", "grafana"}
        assert strategy == ({"type": "Recreate"} if alone else {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}), name


CLUSTER_DNS = {"app.kubernetes.io/name": "dns", "k8s-app": "kube-dns"}
SYSTEM = {"kubernetes.io/metadata.name": "kube-system"}


def labels_of(component: str, model: str = "m") -> dict[str, str]:
    own = {"app.kubernetes.io/name": "modelyard", "app.kubernetes.io/instance": "modelyard", "app.kubernetes.io/component": component}
    return own | ({"modelyard.dev/model": model} if component == "runner" else {})


def selects(selector: Document, labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "the rest is not used, and not understood here"
    return selector.get("matchLabels", {}).items() <= labels.items()


def allows(
    policies: Sequence[Document], side: str, pod: dict[str, str], peer: dict[str, str] | None, namespace: dict[str, str] | None, port: int, protocol: str
) -> bool:
    """Whether the policies of one pod let it talk (`to`) or be talked to (`from`). `peer` is None for an address outside, `namespace` for the pod's own."""
    key = {"to": "egress", "from": "ingress"}[side]
    mine = [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], pod) and key.capitalize() in policy["spec"]["policyTypes"]]
    assert mine, "default-deny is for all"
    for rule in itertools.chain.from_iterable(policy.get(key, []) for policy in mine):
        if (protocol, port) in {(one["protocol"], one["port"]) for one in rule["ports"]} and _among(rule.get(side), peer, namespace):
            return True
    return False


def _among(peers: list[Document] | None, peer: dict[str, str] | None, namespace: dict[str, str] | None) -> bool:
    if not peers:
        return True
    for one in peers:
        if "ipBlock" in one:
            if peer is None:
                return True
        elif peer is not None:
            here = selects(one["namespaceSelector"], namespace or {}) if "namespaceSelector" in one else namespace is None
            if here and selects(one.get("podSelector", {}), peer):
                return True
    return False


@pytest.mark.parametrize("case", ["defaults", "kind", "blue and green"])
def test_policies_are_the_flows(case: str) -> None:
    values, files = CASES[case]
    policies = list(of_kind(render(values, *files), "NetworkPolicy").values())
    found = set()
    for source, target in itertools.product(COMPONENTS, COMPONENTS):
        for port in PORTS.get(target, (1,)):
            out = allows(policies, "to", labels_of(source), labels_of(target), None, port, "TCP")
            if out and allows(policies, "from", labels_of(target), labels_of(source), None, port, "TCP"):
                found.add(Flow(source, target, port))
    for target in COMPONENTS:
        stranger: dict[str, Any] = {"peer": {"app": "stranger"}, "namespace": {"kubernetes.io/metadata.name": "elsewhere"}}
        for port in PORTS.get(target, (1,)):
            admitted = {allows(policies, "from", labels_of(target), port=port, protocol="TCP", **who) for who in (stranger, {"peer": None, "namespace": None})}
            assert len(admitted) == 1
            if admitted == {True}:
                found.add(Flow("anyone", target, port))
    for source in COMPONENTS:
        for port in (443, 6443, 80, 22):
            if allows(policies, "to", labels_of(source), None, None, port, "TCP"):
                found.add(Flow(source, "kubernetes", port))
        for protocol in ("UDP", "TCP"):
            assert allows(policies, "to", labels_of(source), CLUSTER_DNS, SYSTEM, 53, protocol)
        assert not allows(policies, "to", labels_of(source), {"app": "stranger"}, {"kubernetes.io/metadata.name": "elsewhere"}, 53, "UDP")
    assert found == FLOWS


def test_each_flow_is_allowed_at_both_ends_and_nothing_at_one_alone(defaults: Sequence[Document]) -> None:
    policies = list(of_kind(defaults, "NetworkPolicy").values())
    for source, target in itertools.product(COMPONENTS, COMPONENTS):
        for port in PORTS.get(target, (1,)):
            out = allows(policies, "to", labels_of(source), labels_of(target), None, port, "TCP")
            assert out is (Flow(source, target, port) in FLOWS), (source, target, port)
            if Flow("anyone", target, port) not in FLOWS:
                assert allows(policies, "from", labels_of(target), labels_of(source), None, port, "TCP") is out, (source, target, port)


def test_an_unknown_pod_of_the_namespace_reaches_nothing_but_the_doors(defaults: Sequence[Document]) -> None:
    policies = list(of_kind(defaults, "NetworkPolicy").values())
    stranger = {"app": "stranger"}
    for target in COMPONENTS:
        for port in PORTS.get(target, (1,)):
            assert not allows(policies, "to", stranger, labels_of(target), None, port, "TCP")
            assert allows(policies, "from", labels_of(target), stranger, None, port, "TCP") is (Flow("anyone", target, port) in FLOWS)


def test_a_database_elsewhere_is_reached_where_it_is_and_nowhere_else() -> None:
    values, files = CASES["external"]
    policies = list(of_kind(render(values, *files), "NetworkPolicy").values())
    reaching = {source for source in COMPONENTS if allows(policies, "to", labels_of(source), None, None, 6432, "TCP")}
    assert reaching == {"gateway", "control", "mlflow", "migrations"}
    assert not any(allows(policies, "to", labels_of(source), None, None, 5432, "TCP") for source in COMPONENTS)


def test_only_control_reaches_the_internet_and_only_for_the_market() -> None:
    def reaching(**market: bool) -> set[Flow]:
        values = {"workflows": {"enabled": False}, "control": {"market": market}}
        policies = list(of_kind(render(values), "NetworkPolicy").values())
        return {
            Flow(source, "internet", port) for source in COMPONENTS for port in (443, 80) if allows(policies, "to", labels_of(source), None, None, port, "TCP")
        }

    assert (reaching(), reaching(enabled=False)) == (MARKET, set())


def test_control_reaches_the_receivers_of_notifications_while_there_is_a_channel() -> None:
    def open_ports(values: dict[str, Any]) -> set[int]:
        policies = list(of_kind(render({"workflows": {"enabled": False}} | values), "NetworkPolicy").values())
        return {port for port in (80, 443, 587, 8443) if allows(policies, "to", labels_of("control"), None, None, port, "TCP")}

    channels = NOTIFICATIONS["control"]["notifications"]
    away = {"market": {"enabled": False}}
    assert open_ports({"control": away}) == set()
    assert open_ports({"control": away | {"notifications": channels}}) == {443, 8443}
    assert open_ports({"control": away | {"notifications": {"channels": channels["channels"], "secrets": channels["secrets"]}}}) == {443, 587}


def test_the_operators_instances_are_reached_by_whoever_needs_a_database() -> None:
    values, files = CASES["cnpg with backup"]
    policies = list(of_kind(render(values, *files), "NetworkPolicy").values())
    instance = {"cnpg.io/cluster": "postgres"}
    for source in COMPONENTS:
        both = allows(policies, "to", labels_of(source), instance, None, 5432, "TCP") and allows(
            policies, "from", instance, labels_of(source), None, 5432, "TCP"
        )
        assert both is (Flow(source, "postgres", 5432) in FLOWS), source
    assert allows(policies, "from", instance, {"app": "operator"}, {"kubernetes.io/metadata.name": "cnpg-system"}, 8000, "TCP")


def test_pods_of_workflows_have_the_labels_of_their_policy(defaults: Sequence[Document]) -> None:
    selector = of_kind(defaults, "NetworkPolicy")["workflow"]["spec"]["podSelector"]
    for template in of_kind(defaults, "WorkflowTemplate").values():
        assert selects(selector, template["spec"]["podMetadata"]["labels"])


def test_every_pod_has_a_policy_of_its_own(defaults: Sequence[Document]) -> None:
    policies = of_kind(defaults, "NetworkPolicy")
    pod: Pod
    for pod in pods(defaults):
        assert selects(policies[pod.labels["app.kubernetes.io/component"]]["spec"]["podSelector"], pod.labels), pod.owner
