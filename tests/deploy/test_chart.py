"""The chart gives objects that a cluster takes, that fit each other, and that say what Python says."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bentos import catalogue
from bentos.catalogue import Entry
from bentos.serving.settings import RunnerSettings
from frontend.settings import Settings as FrontendSettings
from services.control.settings import Settings as ControlSettings
from services.gateway.settings import Settings as GatewaySettings
from services.pipeline.settings import PipelineSettings
from tests.deploy.cases import EVERYTHING, FIRST, LAST, bluegreen
from tests.deploy.chart import CATALOGUE, CHART, ROOT, Document, environment, of_kind, pods, render

NOT_KUBERNETES = ("argoproj.io", "keda.sh", "cnpg.io", "gateway.networking.k8s.io", "monitoring.coreos.com")
OLDEST, NEWEST = "1.30", "1.37"
_valid: set[str] = set()

# It would read the definitions of all kinds, some megabytes, for every object again.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


def test_every_object_is_what_kubernetes_takes(documents: Sequence[Document]) -> None:
    """Most objects are the same in many combinations, and are looked at once."""
    for document in documents:
        text = json.dumps(document, sort_keys=True)
        if text not in _valid and not any(group in document["apiVersion"] for group in NOT_KUBERNETES):
            for version in (OLDEST, NEWEST):
                kubernetes_validate.validate(document, version, strict=True)
            _valid.add(text)


def test_every_object_is_there_once_in_its_namespace_with_the_usual_labels(documents: Sequence[Document]) -> None:
    names = Counter((document["kind"], document["metadata"]["name"]) for document in documents)
    assert max(names.values()) == 1, names
    for document in documents:
        metadata = document["metadata"]
        assert metadata["namespace"] == "somewhere", metadata
        labels = metadata["labels"]
        assert (labels["app.kubernetes.io/name"], labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/part-of"]) == ("modelyard",) * 3, metadata
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", metadata["name"])


def test_selectors_find_the_pods_of_their_own_and_no_others(documents: Sequence[Document]) -> None:
    selectors = {
        f"{document['kind']}/{document['metadata']['name']}": document["spec"]["selector"]
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet", "Service", "PodDisruptionBudget"}
    }
    labelled = {pod.owner: pod.labels for pod in pods(documents)}
    for name, selector in selectors.items():
        wanted = selector.get("matchLabels", selector)
        found = {owner for owner, labels in labelled.items() if wanted.items() <= labels.items()}
        kind, _, plain = name.partition("/")
        if kind == "Service":
            plain = plain.removesuffix("-metrics")
        expected = (
            {name}
            if kind in {"Deployment", "StatefulSet"}
            else {owner for owner in labelled if owner.partition("/")[2].removesuffix("-blue").removesuffix("-green") == plain}
        )
        if kind == "Service" and (colour := wanted.get("modelyard.dev/colour")):
            expected = {f"Deployment/{plain}-{colour}"}
        if kind == "PodDisruptionBudget":
            expected = {owner for owner in labelled if owner.partition("/")[2] == plain}
        if (kind, plain) in {("Service", "postgres"), ("Service", "gateway")}:
            expected = {f"StatefulSet/{plain}"}
        assert found == expected, name


def test_ports_have_names_and_services_lead_to_them(documents: Sequence[Document]) -> None:
    for service in of_kind(documents, "Service").values():
        behind = [pod for pod in pods(documents) if service["spec"]["selector"].items() <= pod.labels.items()]
        assert behind
        for pod in behind:
            named = {port["name"]: port["containerPort"] for container in pod.containers for port in container.get("ports", [])}
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in named, (service["metadata"]["name"], port)
    for pod in pods(documents):
        for container in pod.containers:
            names = {port["name"] for port in container.get("ports", [])}
            probes = [
                container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe") if "httpGet" in container.get(probe, {})
            ]
            assert set(probes) <= names


PROCESSES: dict[str, Any] = {
    "GATEWAY": GatewaySettings,
    "CONTROL": ControlSettings,
    "RUNNER": RunnerSettings,
    "PIPELINE": PipelineSettings,
    "FRONTEND": FrontendSettings,
}
OTHERS = {"DATABASE_URL", "MIGRATIONS_WAIT_SECONDS", "MIGRATIONS_APPLICATION_ROLE", "MIGRATIONS_APPLICATION_PASSWORD"}
OTHERS |= {"MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_TRACKING_URI", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
OTHERS |= {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS", "GATEWAY_URL", "ADMIN_PASSWORD", "AWS_REGION"}
OTHERS |= {"TEAM_URL"}  # which a channel of notifications names


def test_every_variable_is_a_setting_and_is_set_once(documents: Sequence[Document]) -> None:
    for pod in pods(documents):
        for container in pod.containers:
            names = [variable["name"] for variable in container.get("env", [])]
            assert len(names) == len(set(names)), pod.owner
            for name in names:
                prefix, _, field = name.partition("_")
                known = prefix in PROCESSES and field.lower() in PROCESSES[prefix].model_fields
                assert known or name in OTHERS or (pod.owner, prefix) == ("Deployment/grafana", "GF"), f"{pod.owner}: {name}"


@pytest.mark.parametrize(
    ("owner", "prefix", "kind"),
    [
        ("StatefulSet/gateway", "GATEWAY", GatewaySettings),
        ("Deployment/control", "CONTROL", ControlSettings),
        (f"Deployment/runner-{FIRST}", "RUNNER", RunnerSettings),
    ],
)
def test_a_process_starts_with_what_it_is_told(defaults: Sequence[Document], monkeypatch: pytest.MonkeyPatch, owner: str, prefix: str, kind: Any) -> None:
    given = {
        "uri": "postgresql://u:p@postgres:5432/d",
        "application-uri": "postgresql://a:p@postgres:5432/d",
        "pipeline-key": f"my_pipeline_{'k' * 40}",
        "metadata.name": "pod-0",
        "metadata.namespace": "somewhere",
    }
    pod = next(pod for pod in pods(defaults) if pod.owner == owner)
    for name, value in environment(pod.containers[0]).items():
        monkeypatch.setenv(
            name, given.get(value.rpartition("/")[2], "s" * 40) if "/" in value and not value.startswith(("/", "http")) else given.get(value, value)
        )
    settings = kind()
    assert settings.environment == "production"
    ports = {port["name"]: port["containerPort"] for port in pod.containers[0]["ports"]}
    assert settings.port == ports["http"]
    assert getattr(settings, "metrics_port", None) == ports.get("metrics")
    grace, pre_stop = pod.spec["terminationGracePeriodSeconds"], pod.containers[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace >= pre_stop + getattr(settings, "drain_seconds", 0) + 10, "uvicorn waits up to 10 s for what is under way"


def test_paths_that_processes_write_to_are_mounted(defaults: Sequence[Document]) -> None:
    for pod in pods(defaults):
        for container in pod.containers:
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            told = {value for name, value in environment(container).items() if name.endswith("_DIR")} | {"/tmp"}  # noqa: S108
            assert told <= mounts, pod.owner


def test_a_runner_for_each_model_with_the_catalogues_wishes(defaults: Sequence[Document]) -> None:
    deployments, scalers = of_kind(defaults, "Deployment"), of_kind(defaults, "HorizontalPodAutoscaler")
    for model, entry in catalogue.load().models.items():
        name = f"runner-{model.replace('_', '-')}"
        (container,) = deployments[name]["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == entry.resources.model_dump()
        assert (scalers[name]["spec"]["minReplicas"], scalers[name]["spec"]["maxReplicas"]) == (entry.replicas.min, entry.replicas.max)
        assert "replicas" not in deployments[name]["spec"], "the autoscaler's alone"
        assert environment(container)["RUNNER_MODEL"] == model
        assert container["image"] == f"modelyard/{name}:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
        for kind, schedule in entry.schedules.items():
            cron = of_kind(defaults, "CronWorkflow")[f"{kind}-{model.replace('_', '-')}"]
            assert cron["spec"]["schedules"] == [schedule]


def test_a_model_that_is_added_to_the_catalogue_gets_its_runner(tmp_path: Any) -> None:
    more = tmp_path / "catalogue.yaml"
    more.write_text(CATALOGUE.read_text() + (ROOT / "tests/e2e/fourth_model/catalogue_entry.yaml").read_text())
    added = set(of_kind(render(catalogue=more), "Deployment")) - set(of_kind(render(), "Deployment"))
    assert added == {"runner-wine-quality"}


def test_the_schema_knows_every_key_of_the_catalogue() -> None:
    model = json.loads((CHART / "values.schema.json").read_text())["definitions"]["model"]
    assert model["properties"].keys() == Entry.model_fields.keys()


def test_addresses_are_those_of_services(defaults: Sequence[Document]) -> None:
    services = {name: {port["port"] for port in service["spec"]["ports"]} for name, service in of_kind(defaults, "Service").items()}
    told = [value for pod in pods(defaults) for container in pod.containers for value in environment(container).values()]
    told += of_kind(defaults, "ConfigMap")["workflow-settings"]["data"].values()
    found = {tuple(match.groups()) for value in told if (match := re.fullmatch(r"http://([a-z{}-]+):(\d+)", value))}
    assert {host for host, _ in found} == {"control", "mlflow", "gateway", "runner-{model}"}
    for host, port in found:
        for model in catalogue.names() if "{" in host else [""]:
            assert int(port) in services[host.format(model=model.replace("_", "-"))]


def test_what_an_upgrade_must_not_lose_is_kept(defaults: Sequence[Document]) -> None:
    kept = {
        f"{document['kind']}/{document['metadata']['name']}"
        for document in defaults
        if document["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == {"Secret/modelyard", "Secret/postgres", "PersistentVolumeClaim/mlflow"}


def test_migrations_come_before_whoever_needs_them() -> None:
    external = {"postgresql": {"mode": "external", "external": {"secret": "database"}}}

    def hook(values: dict[str, Any], upgrade: bool) -> tuple[str, str | None]:
        ((name, job),) = of_kind(render(values, upgrade=upgrade), "Job").items()
        return name, job["metadata"].get("annotations", {}).get("helm.sh/hook")

    name, none = hook({}, upgrade=False)
    assert none is None, "there is no database before the installation"
    assert hook({"image": {"tag": "2"}}, upgrade=False) != (name, None), "a Job cannot be changed"
    assert hook({}, upgrade=True) == ("migrations-upgrade", "pre-upgrade")
    assert hook(external, upgrade=False) == hook(external, upgrade=True) == ("migrations-upgrade", "pre-install,pre-upgrade")


def test_gateway_and_control_connect_as_a_role_that_owns_nothing() -> None:
    def keys(values: dict[str, Any]) -> set[str]:
        documents = render(values)
        pods = [of_kind(documents, "StatefulSet")["gateway"], of_kind(documents, "Deployment")["control"]]
        variables = [one for pod in pods for one in pod["spec"]["template"]["spec"]["containers"][0]["env"] if one["name"].endswith("_DATABASE_URL")]
        return {one["valueFrom"]["secretKeyRef"]["key"] for one in variables}

    external: dict[str, Any] = {"postgresql": {"mode": "external", "external": {"secret": "database"}}}
    assert keys({}) == {"application-uri"}
    assert keys(external) == keys({"postgresql": {"mode": "cnpg"}}) == {"uri"}
    external["postgresql"]["external"] |= {"applicationRole": "app", "applicationKey": "app-uri"}
    assert keys(external) == {"app-uri"}
    (job,) = of_kind(render(external), "Job").values()
    assert environment(job["spec"]["template"]["spec"]["containers"][0])["MIGRATIONS_APPLICATION_ROLE"] == "app"


def test_whatever_reads_a_secret_is_restarted_when_that_changes() -> None:
    """Rendered without a cluster, secrets are new each time."""
    one, two = ({pod["metadata"]["name"]: pod for pod in render() if pod["kind"] in {"Deployment", "StatefulSet"}} for _ in range(2))
    for name, workload in one.items():
        reads = any(
            "/" in value and not value.startswith(("/", "http")) for value in environment(workload["spec"]["template"]["spec"]["containers"][0]).values()
        )
        same = workload["spec"]["template"] == two[name]["spec"]["template"]
        assert reads is not same or name == "postgres", name


def test_blue_and_green_have_images_of_their_own_and_one_of_them_the_service() -> None:
    documents = render(bluegreen(active="green"))
    name = f"runner-{FIRST}"
    deployments = of_kind(documents, "Deployment")
    assert [deployments[f"{name}-{colour}"]["spec"]["template"]["spec"]["containers"][0]["image"] for colour in ("blue", "green")] == [
        f"modelyard/{name}:1",
        f"modelyard/{name}:2",
    ]
    assert name not in deployments
    service = of_kind(documents, "Service")[name]
    assert service["spec"]["selector"]["modelyard.dev/colour"] == "green"
    assert service["metadata"]["annotations"]["modelyard.dev/active-value"] == "green"
    assert {scaler for scaler in of_kind(documents, "HorizontalPodAutoscaler") if scaler.startswith(name)} == {f"{name}-blue", f"{name}-green"}


def test_an_idle_colour_may_sleep() -> None:
    deployments = of_kind(render(bluegreen(autoscaling={"type": "none"}, idle="zero", replicas={"min": 2})), "Deployment")
    assert [deployments[f"runner-{FIRST}-{colour}"]["spec"]["replicas"] for colour in ("blue", "green")] == [2, 0]


def test_what_is_said_for_one_model_wins_over_what_is_said_for_all() -> None:
    values = {
        "runners": {
            "defaults": {"preStopSeconds": 10, "replicas": {"max": 9}},
            LAST: {"preStopSeconds": 0, "drainSeconds": 0, "resources": {"requests": {"cpu": "1"}}},
        }
    }
    deployments = of_kind(render(values), "Deployment")
    ours = deployments[f"runner-{LAST.replace('_', '-')}"]["spec"]["template"]["spec"]
    theirs = deployments[f"runner-{FIRST.replace('_', '-')}"]["spec"]["template"]["spec"]
    assert "lifecycle" not in ours["containers"][0], "0 is a value"
    assert theirs["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 10
    assert ours["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": catalogue.load().models[LAST].resources.requests["memory"]}
    assert of_kind(render(values), "HorizontalPodAutoscaler")[f"runner-{LAST.replace('_', '-')}"]["spec"]["maxReplicas"] == 9


def test_the_gateways_disk_is_a_pods_own_and_outlives_it(everything: Sequence[Document]) -> None:
    gateway = of_kind(everything, "StatefulSet")["gateway"]
    (claim,) = gateway["spec"]["volumeClaimTemplates"]
    assert (claim["metadata"]["name"], claim["spec"]["storageClassName"]) == ("spool", EVERYTHING["gateway"]["spool"]["className"])
    assert gateway["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    mounted = {mount["name"]: mount["mountPath"] for mount in gateway["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounted["spool"] == environment(gateway["spec"]["template"]["spec"]["containers"][0])["GATEWAY_SPOOL_DIR"]


def test_doors_are_there_when_asked_for(everything: Sequence[Document]) -> None:
    ingress, route = of_kind(everything, "Ingress")["gateway"], of_kind(everything, "HTTPRoute")["gateway"]
    assert ingress["spec"]["tls"] == [{"hosts": ["models.example"], "secretName": "certificate"}]
    assert [rule["backendRefs"] for rule in route["spec"]["rules"]] == [[{"name": "frontend", "port": 8501}], [{"name": "gateway", "port": 8000}]]
    paths = {path["path"]: path["backend"]["service"]["name"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths == {"/dashboard": "frontend", "/": "gateway"}
    frontend = of_kind(everything, "Deployment")["frontend"]["spec"]["template"]["spec"]["containers"][0]
    assert frontend["readinessProbe"]["httpGet"]["path"] == "/dashboard/_stcore/health"
    assert environment(frontend)["FRONTEND_BASE_PATH"] == "/dashboard"


def test_the_dashboard_can_be_left_out() -> None:
    documents = render({"frontend": {"enabled": False}, "ingress": {"enabled": True, "host": "models.example"}})
    assert not [one for one in documents if one["metadata"]["name"] == "frontend"]
    assert [path["path"] for path in of_kind(documents, "Ingress")["gateway"]["spec"]["rules"][0]["http"]["paths"]] == ["/"]


def test_the_dashboard_scales_when_asked_to() -> None:
    documents = render({"frontend": {"autoscaling": {"type": "hpa"}}})
    assert of_kind(documents, "HorizontalPodAutoscaler")["frontend"]["spec"]["minReplicas"] == 2
    assert "replicas" not in of_kind(documents, "Deployment")["frontend"]["spec"]
    assert of_kind(documents, "Service")["frontend"]["spec"]["sessionAffinity"] == "ClientIP"


def test_workflows_have_the_installations_image_account_and_resources(everything: Sequence[Document]) -> None:
    templates = of_kind(everything, "WorkflowTemplate")
    assert templates
    resources = yaml.safe_load((CHART / "values.yaml").read_text())["workflows"]["resources"]
    for template in templates.values():
        spec = template["spec"]
        assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("workflow", [{"name": "registry"}])
        assert spec["podMetadata"]["labels"]["app.kubernetes.io/instance"] == "modelyard"
        for name, container in ((one["name"], one["container"]) for one in spec["templates"] if "container" in one):
            image = "evidently" if name == "evidently" else "pipeline"
            assert (container["image"], container["resources"]) == (f"registry.example/team/modelyard/{image}:1.2.3", resources)


def test_the_address_of_tables_is_the_one_that_was_named(defaults: Sequence[Document], everything: Sequence[Document]) -> None:
    def given(documents: Sequence[Document]) -> dict[str, tuple[str, str]]:
        pods = of_kind(documents, "WorkflowTemplate")["score"]["spec"]["templates"]
        references = {(pod["name"], one["name"]): dig(one) for pod in pods if "container" in pod for one in pod["container"]["env"] if "valueFrom" in one}
        return {variable: reference for (pod, variable), reference in references.items() if pod == "ingest"}

    def dig(one: Document) -> tuple[str, str]:
        return one["valueFrom"]["secretKeyRef"]["name"], one["valueFrom"]["secretKeyRef"]["key"]

    token = {"PIPELINE_CONTROL_TOKEN": ("modelyard", "control-token")}
    assert given(defaults) == token | {"PIPELINE_TABLES_URL": ("modelyard", "tables-url")}
    assert given(everything) == token | {"PIPELINE_TABLES_URL": ("tables", "uri")}
    mine = render({"secrets": {"existingSecret": "mine"}})
    assert set(given(mine).values()) == {("mine", "control-token"), ("mine", "tables-url")}
    reached = of_kind(everything, "NetworkPolicy")["workflow"]["spec"]["egress"][-1]
    assert reached == {"ports": [{"protocol": "TCP", "port": 5432}], "to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]}


def test_evidently_has_a_template_where_its_image_is(defaults: Sequence[Document], everything: Sequence[Document]) -> None:
    assert of_kind(everything, "WorkflowTemplate").keys() - of_kind(defaults, "WorkflowTemplate").keys() == {"evidently"}


def test_every_schedule_names_a_template(defaults: Sequence[Document]) -> None:
    crons = of_kind(defaults, "CronWorkflow").values()
    assert {cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] for cron in crons} <= of_kind(defaults, "WorkflowTemplate").keys()
