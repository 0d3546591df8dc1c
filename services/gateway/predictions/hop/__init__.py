"""The way from the gateway to the runners: whose turn it is, what was said, and what may be asked again."""

from services.gateway.predictions.hop.answers import Moved, One, Scored
from services.gateway.predictions.hop.runner import Runner, Runners

__all__ = ["Moved", "One", "Runner", "Runners", "Scored"]
