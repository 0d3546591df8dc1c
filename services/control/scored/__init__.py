from services.control.scored.endpoints import router

__all__ = ["router"]
