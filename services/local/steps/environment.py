"""What the machine must offer before anything is started."""

import os
import shutil
import sys
from dataclasses import dataclass
from typing import Literal

from services.local import programs
from services.local.paths import Home

NEEDED_MB = 1000


@dataclass(frozen=True)
class Check:
    name: str
    level: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def checks(home: Home) -> list[Check]:
    return [_python(), _disk(home), _writable(home), _postgres()]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check("python", "ok" if fits else "problem", found, "" if fits else "use Python 3.11, 3.12 or 3.13")


def _disk(home: Home) -> Check:
    folder = next(part for part in (home.folder, *home.folder.parents) if part.exists())
    free = shutil.disk_usage(folder).free // 1_000_000
    fits = free >= NEEDED_MB
    return Check("disk", "ok" if fits else "problem", f"{free} MB free", "" if fits else f"free at least {NEEDED_MB} MB on the disk of {folder}")


def _writable(home: Home) -> Check:
    try:
        home.create()
    except OSError as error:
        return Check("folder", "problem", str(error), f"make {home.folder} writable for this user, or name another folder in MODELYARD_HOME")
    return Check("folder", "ok", str(home.folder))


def _postgres() -> Check:
    if os.environ.get("DATABASE_URL"):
        return Check("postgresql", "ok", "the one of DATABASE_URL")
    try:
        folder = programs.find_programs()
        account = programs.account()
    except (FileNotFoundError, LookupError) as error:
        return Check("postgresql", "problem", str(error), "install PostgreSQL (Debian: apt install postgresql), or set DATABASE_URL")
    run_by = f", run by the account {account.pw_name}" if account else ""
    return Check("postgresql", "ok", f"{programs.major(folder)} in {folder}{run_by}")
