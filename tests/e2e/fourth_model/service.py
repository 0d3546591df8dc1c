"""The model's Bento. How it loads, checks and swaps versions is in `bentos.serving`, the same for all models."""

import bentoml

from bentos.serving import bento
from bentos.wine_quality.schema import Wine, WineQuality

MODEL = "wine_quality"

hot = bento.hot(MODEL)


@bentoml.service(**bento.configuration(MODEL))
@bentoml.asgi_app(hot.app, path="/")
class Runner(bento.RunnerService):
    hot = hot

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[Wine]) -> list[WineQuality]:
        """The champion's answer for each row, in their order."""
        return await self.answer(rows, WineQuality)
