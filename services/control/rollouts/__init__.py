from services.control.rollouts.endpoints import router
from services.control.rollouts.leader import led

__all__ = ["led", "router"]
