"""What a run keeps beside its numbers."""

import platform
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path


def write(folder: Path) -> Path:
    """Python and every installed package with its version, one a line, in `environment.txt`."""
    packages = sorted({f"{one.metadata['Name']}=={one.version}" for one in distributions()}, key=str.lower)
    path = folder / "environment.txt"
    path.write_text("\n".join([f"# Python {platform.python_version()} on {platform.platform()}", *packages, ""]), encoding="utf-8")
    return path


def model_card(model: str) -> Path | None:
    found = find_spec(f"bentos.{model}")
    places = list(found.submodule_search_locations or []) if found else []
    cards = [path for path in (Path(place) / "README.md" for place in places) if path.is_file()]
    return cards[0] if cards else None
