"""A signed POST as Standard Webhooks has it, for which many languages have a library. https://www.standardwebhooks.com"""

import base64
import binascii
import hashlib
import hmac
import time

import aiohttp
import orjson

from services.control.notifications.channels.sending import Hidden, post
from services.control.notifications.schemas import Message

PREFIX = "whsec_"


class Webhook:
    kind = "webhook"

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str, hide: Hidden) -> None:
        self._session, self._url, self._key, self._hide = session, url, key_of(secret), hide

    async def send(self, message: Message) -> float:
        """The id is the delivery's: a receiver that remembers it does nothing twice. The time is this attempt's."""
        body, moment = orjson.dumps(document(message)), str(int(time.time()))
        signature = f"v1,{sign(self._key, message.delivery, moment, body)}"
        headers = {"webhook-id": message.delivery, "webhook-timestamp": moment, "webhook-signature": signature, "User-Agent": "Modelyard"}
        await post(self._session, self._url, body, headers, self._hide)
        return 0.0


def document(message: Message) -> dict[str, object]:
    data = message.model_dump(include={"level", "model", "title", "words", "fields"})
    return {"type": f"modelyard.{message.event}", "timestamp": message.at.isoformat(), "data": data}


def sign(key: bytes, identifier: str, moment: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(key, f"{identifier}.{moment}.".encode() + body, hashlib.sha256).digest()).decode()


def key_of(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
