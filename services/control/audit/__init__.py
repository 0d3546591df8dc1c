from services.control.audit.endpoints import router

__all__ = ["router"]
