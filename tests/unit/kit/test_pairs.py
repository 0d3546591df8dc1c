"""What people call a pair, and which pair that is."""

import pytest

from services.kit.pairs import Names, Pair

PAIRS = [
    Pair("XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD", "online"),
    Pair("XETHZUSD", "ETHUSD", "ETH/USD", "XETH", "ZUSD", "online"),
    Pair("XETHXXBT", "ETHXBT", "ETH/XBT", "XETH", "XXBT", "online"),
    Pair("XXDGXXBT", "XDGXBT", "XDG/XBT", "XXDG", "XXBT", "online"),
    Pair("SOLUSD", "SOLUSD", "SOL/USD", "SOL", "ZUSD", "online"),
    Pair("TRUMPUSD", "TRUMPUSD", "TRUMP/USD", "TRUMP", "ZUSD", "online"),
    Pair("BTCEUR", "BTCEUR", "BTC/EUR", "BTC", "EUR", "online"),
]
NAMES = Names(PAIRS)


@pytest.mark.parametrize(
    ("said", "symbol"),
    [
        *[(name, "XBTUSD") for name in ("XBTUSD", "xbtusd", "XXBTZUSD", "XBT/USD", "BTCUSD", "BTC/USD", "btc-usd", " BTC_USD ")],
        *[(name, "ETHXBT") for name in ("ETHBTC", "ETH/BTC", "ETH/XBT", "XETHXXBT")],
        *[(name, "XDGXBT") for name in ("DOGEBTC", "DOGE/XBT", "XDG/BTC")],
        # A newer list that says BTC itself.
        *[(name, "BTCEUR") for name in ("BTC/EUR", "XBTEUR", "XBT/EUR")],
    ],
)
def test_every_spelling_is_known(said: str, symbol: str) -> None:
    found = NAMES.find(said)
    assert found is not None
    assert found.symbol == symbol


@pytest.mark.parametrize("said", ["", "/", "XBT", "BTCUSDT", "XBTUSD.d", "ETH USD EUR", "€", "A" * 40])
def test_others_are_not(said: str) -> None:
    assert NAMES.find(said) is None


def test_near_names_are_symbols_without_repetition() -> None:
    assert NAMES.near("BTCUSDT")[0] == "XBTUSD"
    assert NAMES.near("SOLUSDT") == ["SOLUSD"]
    assert NAMES.near("QQQQQ") == []


def test_a_search_has_those_first_that_begin_with_it() -> None:
    assert [pair.symbol for pair in NAMES.search("btc", 10)] == ["BTCEUR", "XBTUSD", "ETHXBT", "XDGXBT"]
    assert [pair.symbol for pair in NAMES.search("", 2)] == ["BTCEUR", "ETHUSD"]
    assert NAMES.search("zzz", 5) == []
