from services.control.figures.service import showing

__all__ = ["showing"]
