"""Alerts, dashboards and the configuration of mode builtin, as files. test_dashboards.py looks at them with a platform that runs."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bentos import catalogue
from tests.deploy import promql
from tests.deploy.chart import CHART, NAMESPACE, ROOT, Refused, environment, of_kind, pods, render
from tests.deploy.flows import MONITORING

BUILTIN: dict[str, Any] = {"monitoring": {"mode": "builtin"}}
OPERATOR: dict[str, Any] = {"monitoring": {"mode": "operator", "operator": {"namespace": "watching", "labels": {"release": "stack"}}}}
RULES = [pytest.param(path, rule, id=rule.get("alert") or rule["record"]) for path, rule in promql.rules()]
ALERTS = [rule["alert"] for _, rule in promql.rules() if "alert" in rule]


def tool(name: str, *arguments: str, cwd: Path = CHART) -> str:
    """What promtool or amtool says; fails when it does not agree, skips where it is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not on the PATH (Debian: apt install prometheus prometheus-alertmanager)")
    done = subprocess.run([name, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def config(values: dict[str, Any], folder: Path) -> Path:
    """The rendered ConfigMaps as the files that the pods see."""
    maps = of_kind(render(values), "ConfigMap")
    for name, target in (("prometheus", folder), ("prometheus-rules", folder / "rules"), ("alertmanager", folder)):
        target.mkdir(exist_ok=True)
        for file, text in maps.get(name, {"data": {}})["data"].items():
            (target / file).write_text(text.replace("/etc/prometheus/rules/", f"{folder}/rules/"))
    return folder


# Rules


def test_the_rules_are_rules() -> None:
    tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, promql.ALERTS))


STORIES = sorted((CHART / "monitoring").glob("*_test.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_each_alert_fires_when_it_should_and_not_otherwise(path: Path) -> None:
    tool("promtool", "test", "rules", str(path))


def test_each_alert_is_tested() -> None:
    """Firing, and at another moment of the same story not."""
    documents = [yaml.safe_load(path.read_text()) for path in STORIES]
    fires: set[str] = set()
    for story in (story for document in documents for story in document["tests"]):
        asked = [(one["expr"], "\n".join(sample["labels"] for sample in one.get("exp_samples", []))) for one in story["promql_expr_test"]]
        for alert in ALERTS:
            about = [f'alertname="{alert}"' in said for expr, said in asked if expr == 'ALERTS{alertstate="firing"}' or f'alertname="{alert}"' in expr]
            if True in about and False in about:
                fires.add(alert)
    assert set(ALERTS) - fires == set()
    for document in documents:
        assert {path.name for path in promql.ALERTS} == {Path(name).name for name in document["rule_files"]}


@pytest.mark.parametrize(("path", "rule"), RULES)
def test_a_rule_uses_what_there_is_and_stays_in_its_namespace(path: Path, rule: dict[str, Any]) -> None:
    check(rule["expr"])
    for selector in promql.used(rule["expr"]).selectors:
        assert selector.matchers["namespace"] == "modelyard"
        assert selector.metric.startswith("kubelet_") == (path.name == "volumes.yaml")


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_to_do(alert: str) -> None:
    (rule,) = (rule for _, rule in promql.rules() if rule.get("alert") == alert)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].strip().endswith(".")
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    (section,) = re.findall(rf"^### {alert}\n\n(\w+)", (ROOT / page).read_text(), re.MULTILINE)
    assert (anchor, section.lower()) == (alert.lower(), rule["labels"]["severity"])


def test_the_page_describes_no_alert_that_is_gone() -> None:
    assert sorted(re.findall(r"^### (Modelyard\w+)$", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE)) == sorted(ALERTS)


def check(expression: str) -> None:
    """Every metric is documented, every label is one of those that it has."""
    found = promql.used(expression)
    assert found.selectors
    for metric, matchers in found.selectors:
        assert metric in promql.known(), f"{metric} is not in docs/metrics.yaml"
        assert set(matchers) <= promql.known()[metric] | promql.OF_TARGETS, metric
    assert found.labels <= promql.OF_TARGETS.union(*(promql.known()[metric] for metric, _ in found.selectors))


def test_the_tokenizer_sees_what_an_expression_uses() -> None:
    found = promql.used('sum by (model, le) (rate(a_bucket{model=~"$m|by", le!="0.5"}[5m] offset 1h)) / on (model) group_left max(b) > 1.4 * 2 or vector(0)')
    assert found.selectors == [("a_bucket", {"model": "$m|by", "le": "0.5"}), ("b", {})]
    assert found.labels == {"model", "le"}


# Dashboards


@pytest.mark.parametrize("path", promql.DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one(path: Path) -> None:
    document = promql.dashboard(path)
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] and panel["targets"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    sources = [panel["datasource"] for panel in panels] + [one["datasource"] for one in document["annotations"]["list"]]
    assert {json.dumps(source) for source in sources} == {'{"type": "prometheus", "uid": "${datasource}"}'}
    used = set(re.findall(r"\$(\w+)", json.dumps([panel["targets"] for panel in panels])))
    assert used - {"__rate_interval", "__range"} == set(variables) - {"datasource"}
    for annotation in document["annotations"]["list"]:
        check(annotation["expr"])
    for name in set(variables) - {"datasource"}:
        values = re.fullmatch(rf"label_values\((.+), {name}\)", variables[name]["query"]["query"])
        assert values
        check(values[1])


@pytest.mark.parametrize("path", promql.DASHBOARDS, ids=lambda path: path.stem)
def test_panels_stand_beside_and_below_each_other(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in promql.dashboard(path)["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_dashboards_are_four_with_names_of_their_own() -> None:
    documents = [promql.dashboard(path) for path in promql.DASHBOARDS]
    assert [path.stem for path in promql.DASHBOARDS] == ["api-performance", "business-kpis", "ml-metrics", "system-health"]
    assert len({document["uid"] for document in documents}) == len({document["title"] for document in documents}) == 4


@pytest.mark.parametrize("expression", [pytest.param(expression, id=where) for where, expression in promql.expressions()])
def test_a_panel_uses_what_there_is(expression: str) -> None:
    check(expression)
    assert all(matchers["namespace"] == "$namespace" for _, matchers in promql.used(expression).selectors)


# The chart


def test_the_rendered_configuration_is_one(tmp_path: Path) -> None:
    folder = config(BUILTIN, tmp_path)
    assert f"{len(promql.ALERTS) - 1} rule files found" in tool("promtool", "check", "config", str(folder / "prometheus.yml"))
    tool("amtool", "check-config", str(folder / "alertmanager.yml"))
    tool("amtool", "check-config", str(CHART / "monitoring/alertmanager.yaml"))


def test_the_jobs_find_what_the_chart_runs() -> None:
    """The names are those of Services that select the pods, ready or not; the ports are those that the pods listen on."""
    documents = render(BUILTIN)
    services = of_kind(documents, "Service")
    scraped = yaml.safe_load(of_kind(documents, "ConfigMap")["prometheus"]["data"]["prometheus.yml"])["scrape_configs"]
    models = {}
    for job in scraped:
        (discovery,) = job["dns_sd_configs"]
        for name in discovery["names"]:
            service = services[name]["spec"]
            assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
            found = [pod for pod in pods(documents) if service["selector"].items() <= pod.labels.items()]
            assert {pod.labels["app.kubernetes.io/component"] for pod in found} == {job["job_name"]}
            assert all(discovery["port"] in {port["containerPort"] for container in pod.containers for port in container["ports"]} for pod in found)
            models |= {pod.labels["modelyard.dev/model"]: name for pod in found if job["job_name"] == "runner"}
    labels = {rule["replacement"]: rule["regex"] for rule in scraped[-1]["relabel_configs"] if rule["target_label"] == "model"}
    assert labels == models
    assert set(labels) == set(catalogue.names())


def test_rules_are_for_the_releases_namespace_and_lead_somewhere() -> None:
    values = {"monitoring": BUILTIN["monitoring"] | {"runbooks": "https://example.com/blob/main/"}}
    files = of_kind(render(values), "ConfigMap")["prometheus-rules"]["data"]
    assert set(files) == {path.name for path in promql.ALERTS} - {"volumes.yaml"}
    text = "".join(files.values())
    assert f'namespace="{NAMESPACE}"' in text
    assert f"namespace: {NAMESPACE}" in text
    assert "runbook_url: https://example.com/blob/main/docs/monitoring.md#" in text
    assert "modelyard" not in re.findall(r'namespace[=:] ?"?(\w+)', text)


def test_a_changed_configuration_restarts_the_pod() -> None:
    def sums(values: dict[str, Any]) -> dict[str, str]:
        deployments = of_kind(render(values), "Deployment")
        return {name: deployments[name]["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for name in ("prometheus", "alertmanager", "grafana")}

    before = sums(BUILTIN)
    assert sums(BUILTIN) == before
    receivers = {"existingSecret": "alerting", "webhook": {"enabled": True}}
    after = sums({"monitoring": {"mode": "builtin", "scrapeSeconds": 30, "alertmanager": receivers}})
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize("kinds", [("discord",), ("webhook",), ("discord", "webhook"), ()], ids="+".join)
def test_receivers_are_those_that_are_switched_on(kinds: tuple[str, ...], tmp_path: Path) -> None:
    values = {"monitoring": {"mode": "builtin", "alertmanager": {"existingSecret": "alerting"} | {kind: {"enabled": True} for kind in kinds}}}
    (receiver,) = yaml.safe_load(of_kind(render(values), "ConfigMap")["alertmanager"]["data"]["alertmanager.yml"])["receivers"]
    assert set(receiver) == {"name", *(f"{kind}_configs" for kind in kinds)}
    pod = of_kind(render(values), "Deployment")["alertmanager"]["spec"]["template"]["spec"]
    assert ("alerting" in [volume.get("secret", {}).get("secretName") for volume in pod["volumes"]]) == bool(kinds)
    tool("amtool", "check-config", str(config(values, tmp_path) / "alertmanager.yml"))


def test_a_receiver_needs_its_address() -> None:
    with pytest.raises(Refused, match=r"monitoring\.alertmanager\.existingSecret: name the Secret"):
        render({"monitoring": {"mode": "builtin", "alertmanager": {"discord": {"enabled": True}}}})


def test_what_is_switched_off_is_not_there() -> None:
    parts = {"prometheus", "alertmanager", "grafana"}
    none = render({"monitoring": {"mode": "none"}})
    assert not [one for one in none if one["metadata"]["name"] in parts or one["metadata"]["name"].endswith("-metrics")]
    lean = render({"monitoring": {"mode": "builtin", "grafana": {"enabled": False}, "alertmanager": {"enabled": False}}})
    assert set(of_kind(lean, "Deployment")) & parts == {"prometheus"}
    assert "alerting" not in yaml.safe_load(of_kind(lean, "ConfigMap")["prometheus"]["data"]["prometheus.yml"])


def test_grafana_gets_all_dashboards_and_the_platforms_password() -> None:
    documents = render(BUILTIN)
    maps = of_kind(documents, "ConfigMap")
    assert maps["grafana-dashboards"]["data"] == {path.name: path.read_text() for path in promql.DASHBOARDS}
    (source,) = yaml.safe_load(maps["grafana"]["data"]["source.yaml"])["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (container,) = of_kind(documents, "Deployment")["grafana"]["spec"]["template"]["spec"]["containers"]
    assert environment(container)["GF_SECURITY_ADMIN_PASSWORD"] == "modelyard/admin-password"
    home = environment(container)["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in maps["grafana-dashboards"]["data"]
    assert str(Path(home).parent) in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_volumes_are_claimed_when_they_have_a_size() -> None:
    storage = {"storage": {"size": "8Gi", "className": "fast"}}
    claims = of_kind(render({"monitoring": {"mode": "builtin", "prometheus": storage, "alertmanager": storage}}), "PersistentVolumeClaim")
    assert {"prometheus", "alertmanager"} <= set(claims)
    assert claims["prometheus"]["spec"]["storageClassName"] == "fast"
    assert not {"prometheus", "alertmanager"} & set(of_kind(render(BUILTIN), "PersistentVolumeClaim"))


def test_the_operator_gets_everything_with_its_labels() -> None:
    documents = render(OPERATOR)
    monitors, found = of_kind(documents, "PodMonitor"), of_kind(documents, "PrometheusRule")
    assert set(monitors) == {"gateway", "control", "runner"}
    assert {name.removeprefix("modelyard-") for name in found} == {path.stem for path in promql.ALERTS}
    assert all(one["metadata"]["labels"]["release"] == "stack" for one in [*monitors.values(), *found.values()])
    assert [group["name"] for one in found.values() for group in one["spec"]["groups"]]
    for name, monitor in monitors.items():
        assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/component"
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        selected = [pod for pod in pods(documents) if monitor["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()]
        assert {pod.labels["app.kubernetes.io/component"] for pod in selected} == {name}
        assert all(endpoint["port"] in {port["name"] for container in pod.containers for port in container["ports"]} for pod in selected)
    boards = of_kind(documents, "ConfigMap")["modelyard-dashboards"]
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert set(boards["data"]) == {path.name for path in promql.DASHBOARDS}
    policies = of_kind(documents, "NetworkPolicy")
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "watching"}}}
    assert all(policies[f"{name}-metrics"]["spec"]["ingress"][0]["from"] == [peer] for name in monitors)
    assert not {"prometheus", "grafana"} & set(of_kind(documents, "Deployment"))


def test_the_policies_allow_the_flows_of_monitoring() -> None:
    """Both ends of each arrow, and no others."""
    policies = of_kind(render(BUILTIN), "NetworkPolicy").values()
    ours = {flow.source for flow in MONITORING} | {"alertmanager"}

    def component(end: dict[str, Any]) -> str:
        return str(end.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component", ""))

    def ends(kind: str, side: str) -> set[tuple[str, str, int]]:
        return {
            (component(policy["spec"]), component(peer), port["port"])
            for policy in policies
            for rule in policy["spec"].get(kind, [])
            for peer in rule.get(side, [])
            for port in rule["ports"]
        }

    out = {(source, target, port) for source, target, port in ends("egress", "to") if source in ours}
    into = {(source, target, port) for target, source, port in ends("ingress", "from") if source in ours}
    assert out == into == set(MONITORING)


def test_only_the_receivers_are_reached_outside() -> None:
    def egress(alertmanager: dict[str, Any]) -> Any:
        policies = of_kind(render({"monitoring": {"mode": "builtin", "alertmanager": alertmanager}}), "NetworkPolicy")
        return policies["alertmanager"]["spec"].get("egress")

    assert egress({}) is None
    (rule,) = egress({"existingSecret": "alerting", "webhook": {"enabled": True}, "receiverPorts": [443, 8443]})
    assert rule == {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 8443}]}
