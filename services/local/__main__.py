"""`python -m services.local`: the supervisor. `modelyard up` starts it, detached."""

import asyncio
import logging
import os
import sys

from services.local import leftovers, postgres, state
from services.local.lock import AlreadyRunning, lock
from services.local.paths import Home, home
from services.local.processes import Settings, declare, settings
from services.local.supervisor import Supervisor

log = logging.getLogger("services.local")


def prepare(where: Home) -> Settings:
    """What an earlier supervisor left behind is ended first: it holds ports. Raises OSError, ValueError, LookupError or RuntimeError."""
    ended = leftovers.end(where.identity)
    if ended:
        log.warning("ended %d processes that an earlier supervisor left behind", ended)
    remembered = state.load(where)
    given = os.environ.get("DATABASE_URL")
    server = None if given else postgres.prepare(where, remembered)
    chosen = settings(where, remembered, given or (server.url if server else ""), server)
    state.save(where, remembered)
    return chosen


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    where = home()
    where.create()
    try:
        with lock(where):
            where.view.unlink(missing_ok=True)
            chosen = prepare(where)
            about = {"database_url": chosen.database_url, "control_token": chosen.control_token, "password": chosen.administrator_password}
            asyncio.run(Supervisor(where, declare(chosen), about).run())
    except AlreadyRunning:
        log.info("the platform is running already")
        return 0
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        log.error("%s", error)  # noqa: TRY400 - it says what to do; where it was raised says nothing more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
