from services.control.notifications.choice import sending
from services.control.notifications.endpoints import router
from services.control.notifications.repository import emit

__all__ = ["emit", "router", "sending"]
