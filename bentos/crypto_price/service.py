"""The model's Bento. How it loads, checks and swaps versions is in `bentos.serving`, the same for all models."""

import bentoml

from bentos.crypto_price.schema import CandleWindow, PriceForecast
from bentos.serving import bento

MODEL = "crypto_price"

hot = bento.hot(MODEL)


@bentoml.service(**bento.configuration(MODEL))
@bentoml.asgi_app(hot.app, path="/")
class Runner(bento.RunnerService):
    hot = hot

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[CandleWindow]) -> list[PriceForecast]:
        """The champion's answer for each row, in their order."""
        return await self.answer(rows, PriceForecast)
