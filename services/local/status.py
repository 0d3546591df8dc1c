"""How the platform is, asked of the processes themselves."""

import asyncio
from typing import Any

from services.local import launch, readiness
from services.local.paths import Home


def status(home: Home) -> dict[str, Any]:
    """`services` has an entry per process that lasts; it is empty when the platform does not run."""
    view = launch.view(home)
    if view is None:
        return {"running": False, "services": {}, "database_url": None, "supervisor": None, "home": str(home.folder)}
    lasting = {name: one for name, one in view["services"].items() if not one["once"]}
    ready = asyncio.run(readiness.probe_all({name: one["probe"] for name, one in lasting.items()}, seconds=1.0))
    services = {
        name: {
            "url": one["url"],
            "ready": ready[name] and one["pid"] is not None,
            "pid": one["pid"],
            "rss_mb": launch.memory_mb(one["pid"]),
            "restarts": one["restarts"],
            "phase": one["phase"],
            "since": one["since"],
            "log": one["log"],
        }
        for name, one in lasting.items()
    }
    supervisor = {"pid": view["pid"], "rss_mb": launch.memory_mb(view["pid"]), "started_at": view["started_at"]}
    return {"running": True, "services": services, "database_url": view["database_url"], "supervisor": supervisor, "home": str(home.folder)}
