"""A PostgreSQL of our own: its data folder made once, and the command that runs it."""

import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.local import programs
from services.local.paths import Home
from services.local.state import State

PORT = 54320
OWNER, APPLICATION = "modelyard", "modelyard_app"


@dataclass(frozen=True)
class Postgres:
    programs: Path
    data: Path
    port: int
    password: str
    application_password: str
    account: pwd.struct_passwd | None

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/modelyard"

    @property
    def application_url(self) -> str:
        """Of the role that owns nothing: records cannot be rewritten with it."""
        return f"postgresql://{APPLICATION}:{self.application_password}@127.0.0.1:{self.port}/modelyard"

    @property
    def command(self) -> list[str]:
        """Loopback only, no Unix socket, its log on standard error; durability as shipped (fsync and synchronous_commit on)."""
        address = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=")
        settings = (*address, "logging_collector=off", "timezone=UTC", "jit=off", "max_wal_size=1GB", "min_wal_size=128MB")
        return [str(self.programs / "postgres"), "-D", str(self.data), *(part for setting in settings for part in ("-c", setting))]


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Keyword arguments of subprocess that drop root's rights for good."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def prepare(home: Home, state: State) -> Postgres:
    """Finds programs, data folder and port, and makes the data folder when there is none.

    The data stays with the major version that made it. Raises OSError, LookupError or RuntimeError, saying what to do.
    """
    account = programs.account()
    data = Path(state.postgres_data) if state.postgres_data else _data_folder(home, account)
    marker = data / "PG_VERSION"
    version = int(marker.read_text().strip()) if marker.is_file() else None
    remembered = Path(state.postgres_programs) if state.postgres_programs else None
    if remembered is None or programs.major(remembered) == 0 or version not in (None, programs.major(remembered)):
        remembered = programs.programs_for(account, home.outside / "programs", version)
    server = Postgres(remembered, data, state.port("postgres", PORT), state.secret("database"), state.secret("application"), account)
    if version is None:
        _initialise(server)
    state.postgres_programs, state.postgres_data = str(remembered), str(data)
    return server


def _data_folder(home: Home, account: pwd.struct_passwd | None) -> Path:
    """In the project where the account can get there, else in /var/lib/modelyard."""
    inside = home.folder / "postgres"
    if account is None:
        return inside
    for folder in (inside, home.outside / "postgres"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, account.pw_uid, account.pw_gid)
        except OSError:
            continue
        if programs.reachable(folder.parent):
            return folder
        folder.rmdir()
    raise PermissionError(f"neither {inside.parent} nor {home.outside} can be used by the account {account.pw_name}, which PostgreSQL runs as")


def _initialise(server: Postgres) -> None:
    server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    server.data.chmod(0o700)
    if any(server.data.iterdir()):
        raise RuntimeError(f"{server.data} is not empty and holds no PostgreSQL data: remove it and try again")
    with tempfile.NamedTemporaryFile("w", dir=server.data.parent, prefix=".password-") as secret:
        secret.write(server.password)
        secret.flush()
        if server.account:
            shutil.chown(secret.name, server.account.pw_uid, server.account.pw_gid)
        # Whoever fills a segment of the log makes the next one, with everybody's commit waiting: 16 MB take 50 ms, 2 MB take 6. The usual sizes in
        # all (above) have to be asked for then.
        options = ["--wal-segsize=2", "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={secret.name}", "-E", "UTF8", "--locale=C"]
        command = [str(server.programs / "initdb"), "-D", str(server.data), *options]
        made = subprocess.run(command, capture_output=True, text=True, cwd=server.data, check=False, **run_as(server.account))
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {(made.stderr or made.stdout).strip()[-600:]}")
