from services.control.registry.endpoints import router

__all__ = ["router"]
