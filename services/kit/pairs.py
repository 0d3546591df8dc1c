"""What people call a pair, and what Kraken calls it: its own key XXBTZUSD, the altname XBTUSD, the wsname XBT/USD, and BTC for its XBT."""

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

ALIASES = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's name of a coin, and everybody's."""
NEAR = 5
_SEPARATORS = re.compile(r"[\s/_:-]+")


class Pair(NamedTuple):
    key: str
    symbol: str
    """The altname, by which we know it too."""
    wsname: str | None
    base: str
    quote: str
    status: str


class Names:
    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.pairs = sorted(pairs, key=lambda pair: pair.symbol)
        self._known: dict[str, Pair] = {}
        for pair in self.pairs:
            for name in _spellings(pair):
                self._known.setdefault(name, pair)

    def find(self, name: str) -> Pair | None:
        return self._known.get(plain(name))

    def near(self, name: str) -> list[str]:
        """Symbols of similar names, the nearest first."""
        found = difflib.get_close_matches(plain(name), self._known, n=4 * NEAR, cutoff=0.6)
        return list(dict.fromkeys(self._known[one].symbol for one in found))[:NEAR]

    def search(self, part: str, limit: int) -> list[Pair]:
        """Those with this part in one of their names; those that begin with it first."""
        wanted = plain(part)
        if not wanted:
            return self.pairs[:limit]
        ranked = [(min(name.find(wanted) > 0 for name in names), pair) for pair in self.pairs if (names := [n for n in _spellings(pair) if wanted in n])]
        return [pair for _, pair in sorted(ranked, key=lambda one: one[0])][:limit]


def plain(name: str) -> str:
    return _SEPARATORS.sub("", name).upper()


def _spellings(pair: Pair) -> list[str]:
    """Symbol first."""
    found = [pair.symbol, pair.key, *([pair.wsname] if pair.wsname else [])]
    base, _, quote = (pair.wsname or "").partition("/")
    if quote:
        found += [first + second for first in (base, ALIASES.get(base, base)) for second in (quote, ALIASES.get(quote, quote))]
        back = {everybodys: krakens for krakens, everybodys in ALIASES.items()}
        found.append(back.get(base, base) + back.get(quote, quote))
    return list(dict.fromkeys(map(plain, found)))
