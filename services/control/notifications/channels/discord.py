"""Discord's incoming webhooks. https://docs.discord.com/developers/resources/webhook#execute-webhook and …/resources/message#embed-object-embed-limits"""

import re
from typing import Any

import aiohttp
import orjson

from services.control.notifications.channels.sending import Hidden, post
from services.control.notifications.schemas import Message

COLOURS = {"info": 0x2F81F7, "warning": 0xD29922, "error": 0xCF222E}
TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER, TOTAL = 256, 4096, 25, 256, 1024, 2048, 6000
"""Most characters of each, most fields, and most characters of an embed in all."""
MARKS = re.compile(r"([\\*_~`|\[\]()<>#@-])")


class Discord:
    kind = "discord"

    def __init__(self, session: aiohttp.ClientSession, url: str, hide: Hidden) -> None:
        self._session, self._url, self._hide = session, f"{url}{'&' if '?' in url else '?'}wait=true", hide

    async def send(self, message: Message) -> float:
        """With `wait`, the answer comes when the message is there. Where it was the last one that Discord takes for now, it says for how long."""
        answer = await post(self._session, self._url, orjson.dumps(payload(message)), {}, self._hide)
        try:
            left, seconds = int(answer.headers["X-RateLimit-Remaining"]), float(answer.headers["X-RateLimit-Reset-After"])
        except (KeyError, ValueError):
            return 0.0
        return min(max(seconds, 0.0), 3600.0) if left == 0 else 0.0


def payload(message: Message) -> dict[str, Any]:
    """One embed within Discord's limits. Nobody is pinged, whatever a text says; what looks like Markdown stays as it was written."""
    footer = cut(f"{message.event} · {message.delivery}", FOOTER)
    title = cut(plain(message.title), TITLE)
    left = TOTAL - length(footer) - length(title)
    description = cut(plain(message.words), min(DESCRIPTION, left))
    left -= length(description)
    fields = []
    for name, value in [*({"model": message.model} | message.fields).items()][:FIELDS]:
        one = {"name": cut(plain(name) or "-", NAME), "value": cut(plain(value) or "-", VALUE), "inline": length(value) <= 40}
        left -= length(str(one["name"])) + length(str(one["value"]))
        if left < 0:
            break
        fields.append(one)
    embed = {
        "title": title,
        "description": description,
        "color": COLOURS.get(message.level, COLOURS["info"]),
        "fields": fields,
        "footer": {"text": footer},
        "timestamp": message.at.isoformat(),
    }
    return {"username": "Modelyard", "embeds": [embed], "allowed_mentions": {"parse": []}}


def plain(text: str) -> str:
    return MARKS.sub(r"\\\1", text.strip())


def length(text: str) -> int:
    """In UTF-16 units, of which an emoji has two: whichever way Discord counts, it is no more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int) -> str:
    if length(text) <= most:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    while (len(kept) - len(kept.rstrip("\\"))) % 2:  # half of an escape
        kept = kept[:-1]
    return f"{kept}…"
