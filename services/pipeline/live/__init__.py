"""What became of answers: live performance by the moment of prediction, from audited rows with their outcomes."""

from services.pipeline.live.against import drift_of
from services.pipeline.live.known import Known, read

__all__ = ["Known", "drift_of", "read"]
