from services.control.lineage.endpoints import router

__all__ = ["router"]
