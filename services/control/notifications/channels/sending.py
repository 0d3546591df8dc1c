"""What all channels share: how they fail, and that nothing of a secret leaves in words."""

import json
from collections.abc import Collection
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from services.control.notifications.schemas import Message

SECONDS = 10.0
"""For one attempt, connection and answer together."""
SHOWN = 200
FEWEST = 4
"""Characters of something that is worth hiding; shorter texts stand in every sentence."""
PASSING = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that may end by themselves, or when somebody puts the address right."""


class Later(Exception):
    """Not now. `seconds`: when the receiver wants to be asked again, and nobody but it knows."""

    def __init__(self, words: str, seconds: float | None = None) -> None:
        super().__init__(words)
        self.seconds = seconds


class Never(Exception):
    """The receiver refuses this message, and will."""


class Sender(Protocol):
    kind: str

    async def send(self, message: Message) -> float:
        """Returns when the receiver has it; how many seconds it wants to be left alone. Raises Later or Never."""
        ...


class Hidden:
    """Texts without the secrets: neither these nor, of an address, its path and query."""

    def __init__(self, secrets: Collection[str]) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.split("/"), urlsplit(secret).path if "://" in secret else "")}
        addresses = {"http:", "https:", *(urlsplit(secret).netloc for secret in secrets if "://" in secret)}
        self._parts = sorted((part for part in parts - addresses if len(part) >= FEWEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for part in self._parts:
            text = text.replace(part, "***")
        return " ".join(text.split())[:SHOWN]


async def post(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], hide: Hidden) -> aiohttp.ClientResponse:
    """The answer, read, when it is a success. A redirection is none: who signed for one address does not tell another. Raises Later or Never."""
    try:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with session.post(url, data=body, headers={"Content-Type": "application/json"} | headers, timeout=timeout, allow_redirects=False) as answer:
            said = hide((await answer.content.read(2000)).decode(errors="replace"))
            if answer.status < 300:
                return answer
    except TimeoutError:
        raise Later(f"no answer within {SECONDS:.0f} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise Later(hide(f"{type(error).__name__}: {error}")) from None
    words = f"{answer.status}: {said}" if said else f"{answer.status}"
    if answer.status == 429:
        raise Later(words, _seconds(answer, said))
    if answer.status < 400 or answer.status >= 500 or answer.status in PASSING:
        raise Later(words, _seconds(answer, said) if answer.status == 503 else None)
    raise Never(words)


def _seconds(answer: aiohttp.ClientResponse, said: str) -> float | None:
    """Discord says it in the body with its fractions, everybody else in the header."""
    found: object = None
    try:
        found = json.loads(said)["retry_after"]
    except (ValueError, KeyError, TypeError):
        found = answer.headers.get("Retry-After")
    try:
        seconds = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 86_400 else None
