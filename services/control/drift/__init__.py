from services.control.drift.endpoints import router
from services.control.drift.leader import remembering

__all__ = ["remembering", "router"]
