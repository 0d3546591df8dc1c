"""Prints the path of a usable uv: the one on PATH when it is new enough, else the one that uv.lock pins, fetched into .tools/.

Run by the system's python3 before anything is installed, so it needs the standard library only, and neither pip nor venv.
"""

import hashlib
import io
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
SECONDS = 60
ATTEMPTS = 3


class Impossible(Exception):
    """Says what is missing and what to do."""


def pinned() -> "tuple[str, dict[str, str]]":
    """The version in uv.lock, and the sha256 of each of its wheels by address."""
    import tomllib

    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    uv = next(package for package in packages if package["name"] == "uv")
    return uv["version"], {wheel["url"]: wheel["hash"].removeprefix("sha256:") for wheel in uv["wheels"]}


def numbers(version: str) -> "tuple[int, ...]":
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def version_of(uv: "str | Path") -> "tuple[int, ...]":
    """Empty when it does not run."""
    try:
        return numbers(subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return ()


def tag() -> str:
    """What the name of this platform's wheel contains."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin":
        return f"macosx_.*_{'arm64' if machine == 'aarch64' else machine}"
    if not sys.platform.startswith("linux"):
        raise Impossible(f"there is no set-up for {sys.platform}: install uv (https://docs.astral.sh/uv) and try again")
    return f"{'manylinux' if platform.libc_ver()[0] == 'glibc' else 'musllinux'}_.*_{machine}"


def choose(wheels: "dict[str, str]", wanted: str) -> str:
    found = [url for url in wheels if re.search(wanted, url.rsplit("/", 1)[-1])]
    if not found:
        raise Impossible("uv has no wheel for this machine: install uv (https://docs.astral.sh/uv) and try again")
    return found[0]


def fetch(url: str, sha256: str) -> bytes:
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as response:  # noqa: S310 - an address of uv.lock
                content = bytes(response.read())
        except (urllib.error.URLError, OSError) as error:
            reason = str(getattr(error, "reason", error))
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == sha256:
            return content
        reason = f"its sha256 is {found}, uv.lock says {sha256}"
    hint = " (Debian: apt install ca-certificates)" if "CERTIFICATE" in reason else ""
    raise Impossible(f"{url} could not be fetched: {reason}{hint}")


def unpack(wheel: bytes, target: Path) -> None:
    """Writes the program beside its place and moves it there, so that an interrupted run leaves none that is half there."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(name for name in archive.namelist() if re.search(r"\.data/scripts/uv$", name))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        partial.write_bytes(archive.read(name))
    partial.chmod(0o755)
    partial.replace(target)


def find() -> "str | Path":
    version, wheels = pinned()
    there = shutil.which("uv")
    if there and version_of(there) >= numbers(version):
        return there
    ours = TOOLS / f"uv-{version}" / "uv"
    if version_of(ours) != numbers(version):
        url = choose(wheels, tag())
        sys.stderr.write(f"fetching uv {version}\n")
        unpack(fetch(url, wheels[url]), ours)
    return ours


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older Python may be asked to run
        sys.stderr.write(f"Python 3.11, 3.12 or 3.13 is needed; {sys.executable} is {platform.python_version()}. Say which to use: make PYTHON=python3.12\n")
        return 1
    try:
        sys.stdout.write(f"{find()}\n")
    except Impossible as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
