"""Combinations of values that somebody will have, and that must all give something that a cluster takes."""

from typing import Any

from bentos import catalogue

FIRST, *_, LAST = catalogue.names()
EVERYTHING: dict[str, Any] = {
    "image": {"registry": "registry.example/team", "tag": "1.2.3"},
    "imagePullSecrets": ["registry"],
    "priorityClassName": "important",
    "gateway": {
        "autoscaling": {"type": "hpa"},
        "workers": 2,
        "settings": {"GATEWAY_RATE_LIMIT": "60/minute"},
        "scheduling": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "only", "operator": "Exists"}]},
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        "spool": {"className": "fast"},
    },
    "postgresql": {"builtin": {"maxConnections": 300, "storage": {"className": "fast"}}},
    "mlflow": {"artifacts": "s3://bucket/path", "settings": {"AWS_REGION": "eu-west-3"}},
    "runners": {"defaults": {"replicas": {"min": 2, "max": 5}, "settings": {"RUNNER_MAX_CONCURRENCY": "8"}}, FIRST: {"pin": "7"}},
    "ingress": {"enabled": True, "host": "models.example", "tlsSecret": "certificate", "className": "nginx"},
    "route": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["models.example"]},
    "workflows": {"dataClaim": "data-sets", "evidently": {"enabled": True}, "tables": {"secret": "tables", "key": "uri", "cidrs": ["10.2.0.0/16"]}},
    "networkPolicies": {"apiServerCidrs": ["10.0.0.1/32"], "gatewayFrom": [{"namespaceSelector": {}}]},
}

MONITORING: dict[str, Any] = {
    "mode": "builtin",
    "alertmanager": {"existingSecret": "alerting", "discord": {"enabled": True}, "webhook": {"enabled": True}, "storage": {"size": "1Gi"}},
    "prometheus": {"storage": {"size": "9Gi", "className": "fast"}, "from": [{"namespaceSelector": {}}]},
    "grafana": {"from": [{"namespaceSelector": {}}]},
}


def bluegreen(**more: Any) -> dict[str, Any]:
    return {"runners": {FIRST: {"strategy": "bluegreen", "blue": {"tag": "1"}, "green": {"tag": "2"}} | more}}


NOTIFICATIONS: dict[str, Any] = {
    "control": {
        "notifications": {
            "channels": {"team": {"kind": "discord", "url_env": "TEAM_URL", "events": ["promoted", "rolled_back"]}},
            "secrets": {"TEAM_URL": {"secret": "notifications", "key": "discord-url"}},
            "ports": [443, 8443],
        }
    }
}
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "defaults": ({}, ()),
    "kind": ({}, ("kind",)),
    "dev": ({}, ("dev",)),
    "staging": ({}, ("staging",)),
    "production": ({"image": {"registry": "registry.example"}}, ("production",)),
    "external": ({"postgresql": {"mode": "external", "external": {"secret": "database", "port": 6432, "cidrs": ["10.1.0.0/16"]}}}, ()),
    "external, a role that owns nothing": (
        {"postgresql": {"mode": "external", "external": {"secret": "database", "applicationRole": "modelyard_app", "applicationKey": "application-uri"}}},
        (),
    ),
    "external, existing secret": ({"postgresql": {"mode": "external", "external": {"secret": "database"}}, "secrets": {"existingSecret": "mine"}}, ()),
    "cnpg with backup": ({"postgresql": {"mode": "cnpg", "cnpg": {"backup": {"schedule": "0 0 2 * * *"}, "plugins": [{"name": "barman"}]}}}, ()),
    "keda": ({"runners": {"defaults": {"autoscaling": {"type": "keda"}}}}, ()),
    "blue and green": (bluegreen(active="green"), ()),
    "green asleep": (bluegreen(autoscaling={"type": "none"}, idle="zero"), ()),
    "no workflows": ({"workflows": {"enabled": False}}, ()),
    "no market": ({"control": {"market": {"enabled": False}}}, ()),
    "notifications": (NOTIFICATIONS, ()),
    "no policies": ({"networkPolicies": {"enabled": False}}, ()),
    "accounts of the platform": ({"podSecurity": {"runAsUser": None, "runAsGroup": None}}, ()),
    "images by their whole names": (
        {name: {"image": f"registry.example/{name}:1"} for name in ("gateway", "control", "mlflow", "migrations")}
        | {"workflows": {"image": "registry.example/pipeline:1", "evidently": {"enabled": True, "image": "registry.example/evidently:1"}}}
        | {"runners": {LAST: {"image": f"registry.example/other@sha256:{'0' * 64}"}}},
        (),
    ),
    "everything": (EVERYTHING, ()),
    "monitoring of its own": ({"monitoring": {"mode": "builtin"}}, ()),
    "monitoring of its own, everything": (EVERYTHING | {"monitoring": MONITORING}, ()),
    "monitoring by an operator": ({"monitoring": {"mode": "operator", "operator": {"labels": {"release": "stack"}}}}, ()),
}
