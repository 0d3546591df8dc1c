"""`python -m services.cluster.skaffold NAME`: what skaffold.yaml builds its artifacts with, so that there is one way to build an image.

NAME is a service, or `runners`: the images of all models, which skaffold.yaml cannot list, as the catalogue does. That artifact itself is a small image
with the list of them, so that its name changes when one of them does; they get the same tag beside it. Skaffold says by IMAGE and PUSH_IMAGE what it wants.
"""

import json
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cluster import images, kubernetes, loading, programs
from services.cluster.images import Built, Heard, Wishes
from services.local.failure import Failure

RUNNERS = "runners"
_REGISTRY = re.compile(rf"/?modelyard[/_]{RUNNERS}$")
"""skaffold.yaml has the same: skaffold may join the parts of a name by an underscore. What is taken away leaves the registry."""


def main() -> int:
    name, asked, push = "".join(sys.argv[1:]), os.environ.get("IMAGE", ""), os.environ.get("PUSH_IMAGE") == "true"
    repository, _, tag = asked.rpartition(":")
    if name not in (*images.SERVICES, RUNNERS) or not repository.endswith(name):
        sys.stderr.write(f"this is for skaffold, which gives the name of an artifact and, in IMAGE, its reference; given: {name or 'nothing'}, {asked}\n")
        return 2
    try:
        programs.docker_answers()
        references = _runners(asked, _REGISTRY.sub("", repository), tag, push) if name == RUNNERS else [_name(_build(name), asked)]
        for reference in references if push else ():
            programs.run("docker", "push", "--quiet", reference, what=f"{reference} could not be pushed")
    except Failure as failure:
        sys.stderr.write("".join(f"  {line}\n" for line in failure.details) + f"{failure.message}\n")
        return failure.code
    except KeyboardInterrupt:
        return 130
    return 0


def _build(name: str) -> Built:
    return images.build(images.declared()[name], Wishes(), _say(name))


def _say(name: str) -> Heard:
    return lambda step: print(f"{name}: {step}", flush=True)


def _runners(asked: str, registry: str, tag: str, push: bool) -> list[str]:
    built = [_build(name) for name, image in images.declared().items() if image.model is not None]
    with TemporaryDirectory(prefix="modelyard-runners-") as folder:
        listed = Path(folder) / "runners.json"
        listed.write_text(json.dumps({one.image.name: one.content for one in built}, indent=1), encoding="utf-8")
        os.utime(listed, (0, 0))
        (Path(folder) / "Dockerfile").write_text("FROM scratch\nCOPY runners.json /\n", encoding="utf-8")
        programs.run("docker", "build", "--quiet", "-t", asked, folder, what=f"{asked} could not be built", environment={"DOCKER_BUILDKIT": "1"})
    # Without a registry, skaffold names an artifact by its id.
    used = tag if push else str(images.document(asked)["Id"]).removeprefix("sha256:")
    references = [_name(one, f"{registry}{'/' if registry else ''}{one.image.reference(used)}") for one in built]
    if not push:
        _load(references)
    return [*references, asked]


def _name(one: Built, reference: str) -> str:
    programs.run("docker", "tag", one.reference, reference, what=f"{one.reference} could not be named {reference}")
    return reference


def _load(references: list[str]) -> None:
    """Into the kind cluster, if there is one: skaffold knows of the artifact alone, and loads that."""
    try:
        programs.need("kind")
        absent = loading.missing(references) if kubernetes.exists() else []
    except Failure:
        return
    if absent:
        print(f"loading {', '.join(absent)}", flush=True)
        loading.load(absent)


if __name__ == "__main__":
    sys.exit(main())
