"""Values: what is refused and in which words, and that the page about them says what the file says."""

import json
import os
import re
from typing import Any

import pytest
import yaml

from tests.deploy.cases import EVERYTHING, FIRST, bluegreen
from tests.deploy.chart import CHART, ROOT, Refused, notes, render

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"environment": "prod"}, r"environment.*one of.*'dev', 'staging', 'production'"),
    ({"environment": "local"}, r"environment.*one of"),
    ({"gatway": {}}, r"additional properties 'gatway' not allowed"),
    ({"gateway": {"replica": 3}}, r"/gateway.*additional properties 'replica' not allowed"),
    ({"gateway": {"replicas": "two"}}, r"/gateway/replicas.*got string, want integer"),
    ({"gateway": {"replicas": 0}}, r"/gateway/replicas.*minimum"),
    ({"gateway": {"settings": {"RATE_LIMIT": "1/minute"}}}, r"/gateway/settings.*additional properties 'RATE_LIMIT' not allowed"),
    ({"gateway": {"settings": {"GATEWAY_ACCESS_MINUTES": 60}}}, r"/gateway/settings/GATEWAY_ACCESS_MINUTES.*got number, want string"),
    ({"gateway": {"settings": {"GATEWAY_PORT": "80"}}}, r"gateway\.settings: GATEWAY_PORT is set by the chart"),
    ({"gateway": {"drainSeconds": 61}}, r"/gateway/drainSeconds.*maximum"),
    ({"gateway": {"service": {"nodePort": 30080}}}, r"gateway\.service\.nodePort: only a Service of type NodePort has one, this is a ClusterIP"),
    ({"gateway": {"autoscaling": {"type": "hpa", "min": 9}}}, r"gateway\.autoscaling: min \(9\) is above max \(6\)"),
    ({"gateway": {"replicas": 10}}, r"postgresql\.builtin\.maxConnections: all processes together may open 223 connections.*180 are too few"),
    ({"gateway": {"resources": {"limits": {"memory": "much"}}}}, r"/gateway/resources/limits/memory.*does not match"),
    ({"image": {"tag": "latest"}}, r"The image modelyard/[a-z-]+:latest has the tag latest"),
    ({"postgresql": {"mode": "mysql"}}, r"/postgresql/mode.*'builtin', 'cnpg', 'external'"),
    ({"postgresql": {"external": {"applicationRole": "app"}}}, r"applicationRole and applicationKey belong together"),
    ({"postgresql": {"mode": "external"}}, r"postgresql\.external\.secret: name the Secret"),
    ({"runners": {"no_such_model": {}}}, rf"runners\.no_such_model: the catalogue has no such model; it has {FIRST}, "),
    ({"runners": {FIRST: {"replicas": {"min": 5, "max": 2}}}}, rf"runners\.{FIRST}\.replicas: min \(5\) is above max \(2\)"),
    ({"runners": {FIRST: {"strategy": "canary"}}}, r"strategy.*'rolling', 'bluegreen'"),
    (bluegreen(idle="zero"), rf"runners\.{FIRST}\.idle: zero needs autoscaling\.type none"),
    ({"models": {FIRST: {"replicas": {"min": "one", "max": 2}}}}, rf"/models/{FIRST}/replicas/min.*got string, want integer"),
    ({"models": {FIRST: {"schedule": {}}}}, r"additional properties 'schedule' not allowed"),
    ({"route": {"enabled": True}}, r"route\.parentRefs: name the Gateway"),
    ({"ingress": {"enabled": True}}, r"ingress\.host: name the host"),
    ({"frontend": {"path": "dashboard"}}, r"/frontend/path.*does not match"),
    ({"frontend": {"settings": {"FRONTEND_PORT": "80"}}}, r"frontend\.settings: FRONTEND_PORT is set by the chart"),
    ({"frontend": {"service": {"nodePort": 30081}}}, r"frontend\.service\.nodePort: only a Service of type NodePort has one"),
    ({"networkPolicies": {"apiServerCidrs": ["everywhere"]}}, r"/networkPolicies/apiServerCidrs/0.*does not match"),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values) for values, _ in WRONG])
def test_wrong_values_are_refused_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as refused:
        render(values)
    assert re.search(words, str(refused.value)), refused.value


def test_a_catalogue_is_asked_for() -> None:
    with pytest.raises(Refused, match=r"There is no model: give the catalogue as values, -f bentos/catalogue\.yaml"):
        render(catalogue=None)


def test_helm_says_what_to_do_next() -> None:
    said = notes({}, "kind")
    assert "GATEWAY=http://127.0.0.1:30080" in said
    assert f"workflowtemplate/train -p model={FIRST}" in said
    assert "gateway 36" in said
    assert "https://models.example" in notes(EVERYTHING)
    assert "port-forward service/gateway" in notes()
    assert "while its pod is replaced, nobody answers" in notes({"gateway": {"replicas": 1}})
    assert "nobody answers" not in notes()
    assert "have the same image" not in notes(bluegreen())
    assert "have the same image" in notes({"runners": {FIRST: {"strategy": "bluegreen"}}})


KEY = re.compile(r"^(?P<indent> *)(?P<name>[a-zA-Z]+):(?P<rest>.*)$")


def described() -> list[tuple[str, Any, str]]:
    """Every value that has a sentence: its path, its default, the sentence. Raises AssertionError for a value without one."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    values = yaml.safe_load("\n".join(lines))
    found: list[tuple[str, Any, str]] = []
    path: list[str] = []
    sentence: list[str] = []
    inside: int | None = None
    for line in lines:
        text = line.strip()
        if text.startswith("# -- "):
            sentence = [text.removeprefix("# -- ")]
        elif text.startswith("#"):
            if sentence:
                sentence.append(text.removeprefix("# "))
        elif match := KEY.match(line):
            depth = len(match["indent"]) // 2
            if inside is not None and depth > inside:
                continue
            inside = None
            path[depth:] = [match["name"]]
            value = values
            for name in path:
                value = value[name]
            if sentence:
                found.append((".".join(path), value, " ".join(sentence)))
                inside, sentence = depth, []
            else:
                assert isinstance(value, dict), f"{'.'.join(path)} has no sentence"
                assert value, f"{'.'.join(path)} has no sentence"
        elif not text:
            sentence = []
    return found


def page() -> str:
    rows = [f"| `{path}` | `{json.dumps(value, ensure_ascii=False)}` | {sentence} |" for path, value, sentence in described()]
    return (CHART / "README.md.in").read_text().replace("@VALUES@", "\n".join(["| value | default | |", "| --- | --- | --- |", *rows]))


def test_the_charts_page_is_what_the_values_say() -> None:
    path = CHART / "README.md"
    if os.environ.get("MODELYARD_REGENERATE"):
        path.write_text(page())
    assert path.read_text() == page(), "MODELYARD_REGENERATE=1 .venv/bin/pytest tests/deploy/test_values.py rewrites it"


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    described_whole = {path for path, _, _ in described()}

    def compare(values: dict[str, Any], part: dict[str, Any], path: str) -> None:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        names = part["properties"].keys() - {"global"}
        assert values.keys() == names, path
        for name in names:
            at = f"{path}.{name}".removeprefix(".")
            if at not in described_whole:
                compare(values[name], part["properties"][name], at)

    compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


@pytest.mark.parametrize("name", sorted(path.stem for path in (CHART / "values").glob("*.yaml")))
def test_values_files_say_where_they_are_for(name: str) -> None:
    given = yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text())
    assert given["environment"] == {"kind": "dev"}.get(name, name)


def test_the_budget_of_connections_is_what_pools_may_open() -> None:
    """The numbers stand in _helpers.tpl, where no one would look after a change of a pool."""
    from services.gateway import lifespan
    from services.gateway.settings import Settings

    source = (ROOT / "services/gateway/lifespan.py").read_text()
    pool = int(re.search(r'"gateway", max_size=(\d+)', source)[1])  # type: ignore[index]
    journals = len(re.findall(r"await journal\(", source))
    emptying = len(re.findall(r"keep_empty, spool", source))
    listening = sum(path.read_text().count('"gateway-listen"') for path in (ROOT / "services/gateway").rglob("*.py"))
    batches = Settings.model_fields["batches_at_once"].default
    budget = yaml.safe_load(
        re.search(r'"modelyard\.connections" -}}.*?\n(gateway: .*?){{- end', (CHART / "templates/_helpers.tpl").read_text(), re.DOTALL)[1]
        .replace("{{ mul ", '"')
        .replace(" }}", '"')
    )  # type: ignore[index]
    assert int(budget["gateway"].split()[0]) == pool + journals + listening + emptying + batches, lifespan.__name__
