from services.control.retraining.endpoints import router

__all__ = ["router"]
