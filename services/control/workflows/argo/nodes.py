"""What Argo says of a Workflow, reduced to the attempts at our steps."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ENDED = frozenset({"Succeeded", "Failed", "Error"})


@dataclass(frozen=True)
class Node:
    id: str
    name: str
    kind: str
    template: str
    phase: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    result: str
    """What the container wrote to standard output."""


@dataclass(frozen=True)
class Attempt:
    """One pod of a step."""

    verb: str
    item: int
    """Which of several that run side by side; 0 where there is one."""
    number: int
    node: Node
    pod: str


class Found:
    """A Workflow as the API gives it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.name: str = document["metadata"]["name"]
        self.spec: dict[str, Any] = document.get("spec") or {}
        status = document.get("status") or {}
        self.phase: str = status.get("phase") or ""
        self.message = _text(status.get("message"))
        self.nodes = {id: _node(id, node) for id, node in (status.get("nodes") or {}).items()}

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.document["metadata"].get("labels") or {}
        return found

    @property
    def template(self) -> str | None:
        """Of which WorkflowTemplate it is made."""
        return (self.spec.get("workflowTemplateRef") or {}).get("name")

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.document["metadata"]["creationTimestamp"])

    @property
    def parameters(self) -> dict[str, str]:
        """As given; what the template says of the others is not among them."""
        given = (self.spec.get("arguments") or {}).get("parameters") or []
        return {one["name"]: _text(one["value"]) for one in given if "value" in one}

    @property
    def main(self) -> Node | None:
        """The node of the whole work: it has ended before the exit handler begins."""
        return self.nodes.get(self.name)

    @property
    def shut_down(self) -> bool:
        return bool(self.spec.get("shutdown"))

    def task(self, verb: str) -> Node | None:
        """The step as a whole, whatever attempts or parts it has."""
        return next((node for node in self.nodes.values() if node.name == f"{self.name}.{verb}"), None)

    def attempts(self) -> Iterator[Attempt]:
        """In no order."""
        # wf.verb, wf.verb(0) for an attempt, wf.verb(2:…) for one of several side by side, wf.verb(2:…)(0) for an attempt at that
        shape = re.compile(re.escape(self.name) + r"\.([a-z-]+)(?:\((\d+):.*\))?(?:\((\d+)\))?", re.DOTALL)
        for node in self.nodes.values():
            match = shape.fullmatch(node.name) if node.kind == "Pod" else None
            if match is not None:
                pod = f"{self.name}-{node.template}-{node.id.removeprefix(self.name + '-')}"
                yield Attempt(match[1], int(match[2] or 0), int(match[3] or 0), node, pod)


def _node(id: str, found: dict[str, Any]) -> Node:
    outputs = found.get("outputs") or {}
    code = str(outputs.get("exitCode") or "")
    return Node(
        id=id,
        name=found.get("name") or "",
        kind=found.get("type") or "",
        template=found.get("templateName") or "",
        phase=found.get("phase") or "",
        message=_text(found.get("message")),
        started_at=_time(found.get("startedAt")),
        finished_at=_time(found.get("finishedAt")),
        exit_code=int(code) if code.isdigit() else None,
        result=outputs.get("result") or "",
    )


def _text(value: Any) -> str:
    """As the database can hold it."""
    return "" if value is None else str(value).replace("\0", "")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
