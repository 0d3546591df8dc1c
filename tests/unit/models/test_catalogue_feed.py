"""What the catalogue allows to say about a feed."""

import pytest
import yaml
from pydantic import ValidationError

from bentos.catalogue import PATH, Catalogue


def changed(**entry: object) -> dict[str, object]:
    document = yaml.safe_load(PATH.read_text())
    document["models"]["attrition"] |= entry
    return dict(document)


def test_live_data_needs_a_feed() -> None:
    with pytest.raises(ValidationError, match="training from the source live needs a `feed`"):
        Catalogue.model_validate(changed(training={"source": "live", "rows": 500, "seed": 7}))


def test_a_feed_has_one_model() -> None:
    with pytest.raises(ValidationError, match="belongs to one model, which is asked for forecasts; here attrition and crypto_price have it"):
        Catalogue.model_validate(changed(feed="candles"))


def test_there_is_one_kind_of_feed() -> None:
    with pytest.raises(ValidationError, match="feed"):
        Catalogue.model_validate(changed(feed="news"))
