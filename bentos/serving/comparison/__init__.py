from bentos.serving.comparison.pairs import Pairs
from bentos.serving.comparison.report import report

__all__ = ["Pairs", "report"]
