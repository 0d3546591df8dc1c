"""Where answered predictions are kept while the database is away. docs/audit.md tells the whole story."""

from services.gateway.predictions.spool.answered import Answered
from services.gateway.predictions.spool.files import SpoolBroken, SpoolFull
from services.gateway.predictions.spool.spool import Spool

__all__ = ["Answered", "Spool", "SpoolBroken", "SpoolFull"]
