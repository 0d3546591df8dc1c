"""The truth about a forecast is the next candle: when that has been completed, nobody has to tell it."""

import logging
import time
from collections.abc import Sequence

from services.control.market.candles import INTERVALS
from services.control.market.repository import MarketRepository
from services.control.market.schemas import Asset

log = logging.getLogger(__name__)

ACTOR = "market"
NEWEST_CANDLES = 27
"""What each turn looks at, of each interval: a day of hours, and a little more."""
ALL_SECONDS = 600.0
ALL_DAYS = 45
"""What is looked at now and then: candles that came late, after Kraken or control had been away."""


class Outcomes:
    """Only the one control that refreshes the market tells them, so that none is told twice."""

    def __init__(self, repository: MarketRepository, model: str | None) -> None:
        """`model` forecasts candles; None where the catalogue has no such model."""
        self._repository, self._model = repository, model
        self._all_at = 0.0

    async def tell(self, assets: Sequence[Asset]) -> int:
        """How many forecasts now have their outcome that had none."""
        if self._model is None:
            return 0
        everything = time.monotonic() - self._all_at > ALL_SECONDS or not self._all_at
        told = 0
        for asset in assets:
            for interval in INTERVALS:
                minutes = ALL_DAYS * 1440 if everything else NEWEST_CANDLES * interval
                told += await self._repository.tell_outcomes(self._model, asset, interval, minutes, ACTOR)
        if everything:
            self._all_at = time.monotonic()
        if told:
            log.info("forecasts have their outcome", extra={"forecasts": told})
        return told
