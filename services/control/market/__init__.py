from services.control.market.choice import opened
from services.control.market.endpoints import router

__all__ = ["opened", "router"]
