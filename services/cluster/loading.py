"""Images for the cluster: named by their content there, so that an unchanged one is neither loaded again nor rolled out again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cluster import programs
from services.cluster.images import Built
from services.cluster.kubernetes import NAME, PLATFORM

SHOWN = 12


def name(built: Built) -> str:
    """As `modelyard/gateway:dev-0123456789ab`"""
    return f"{built.reference}-{built.content[:SHOWN]}"


def missing(references: Iterable[str]) -> list[str]:
    """Those that some node does not report. A node reports its largest fifty: to load one that is there costs a minute, nothing else."""
    nodes = [
        {name.removeprefix("docker.io/") for image in node["status"]["images"] for name in image.get("names") or ()} for node in PLATFORM.documents("nodes")
    ]
    return [reference for reference in references if not all(reference in names for names in nodes)]


def load_missing(built: Iterable[Built], begins: Callable[[int], None]) -> int:
    """How many it had to load; `begins` is told before. The Docker engine keeps none of the names. Raises Failure."""
    named = {name(one): one.reference for one in built}
    absent = missing(named)
    if not absent:
        return 0
    begins(len(absent))
    for reference in absent:
        programs.run("docker", "tag", named[reference], reference, what=f"{named[reference]} could not be named {reference}")
    try:
        load(absent)
    finally:
        programs.run("docker", "image", "rm", "--no-prune", *absent, what="the names by content could not be taken away")
    return len(absent)


def load(references: list[str]) -> None:
    """All in one archive: what they share is written and read once. Raises Failure."""
    with TemporaryDirectory(prefix="modelyard-images-") as folder:
        archive = str(Path(folder) / "images.tar")
        programs.run("docker", "save", "-o", archive, *references, what="the images could not be written into an archive")
        programs.run("kind", "load", "image-archive", "--name", NAME, archive, what="the images could not be loaded into the cluster")
