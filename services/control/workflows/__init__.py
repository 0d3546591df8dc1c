from services.control.workflows.endpoints import router

__all__ = ["router"]
