from services.control.deployments.endpoints import router

__all__ = ["router"]
