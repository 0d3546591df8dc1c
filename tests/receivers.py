"""Small local servers that speak as Discord, as a receiver of webhooks and as a mail server do."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

from aiohttp import web

TOKEN = "sEcReT-tOkEn_of-the-webhook"


@dataclass
class Posts:
    """What arrived, and what is answered: `plan` says it for the first ones, then all are taken."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    plan: list[Callable[[], Awaitable[web.Response]]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def posts(path: str, taken: Callable[[web.Request, bytes], web.Response], port: int = 0) -> AsyncIterator[Posts]:
    found = Posts()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        answer = taken(request, body)
        if answer.status < 300:
            found.raw.append(body)
            found.bodies.append(json.loads(body))
            found.headers.append({name.lower(): value for name, value in request.headers.items()})
        found.arrived.set()
        return await found.plan.pop(0)() if found.plan else answer

    app = web.Application()
    app.router.add_post(path, take)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        real = runner.addresses[0][1]
        found.url = f"http://127.0.0.1:{real}{path}"
        yield found
    finally:
        await runner.cleanup()


def discord(port: int = 0) -> Any:
    """As https://docs.discord.com/developers/resources/webhook#execute-webhook: with `wait` the message, without 204; 400 for what breaks a limit."""

    def taken(request: web.Request, body: bytes) -> web.Response:
        if (words := broken(json.loads(body))) is not None:
            return web.json_response({"code": 50035, "message": "Invalid Form Body", "errors": words}, status=400)
        limits = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "2"}
        return web.json_response({"id": "1"}, headers=limits) if request.query.get("wait") == "true" else web.Response(status=204, headers=limits)

    return posts(f"/api/webhooks/1/{TOKEN}", taken, port)


def broken(document: dict[str, Any]) -> str | None:
    """The limit of an embed that is broken, if one is."""
    total = 0
    for embed in document["embeds"]:
        parts = [("title", embed["title"], 256), ("description", embed["description"], 4096), ("footer", embed["footer"]["text"], 2048)]
        parts += [(f"{kind} of a field", one[kind], most) for one in embed["fields"] for kind, most in (("name", 256), ("value", 1024))]
        if len(embed["fields"]) > 25 or len(document["embeds"]) > 10:
            return "too many fields or embeds"
        for name, text, most in parts:
            total += len(text)
            if len(text) > most or (not text and "field" in name):
                return f"{name} has {len(text)} characters"
    return f"{total} characters in all" if total > 6000 else None


async def limited() -> web.Response:
    body = {"message": "You are being rate limited.", "retry_after": 0.4, "global": False}
    return web.json_response(body, status=429, headers={"Retry-After": "1", "X-RateLimit-Scope": "shared"})


def webhook(secret: str, port: int = 0) -> Any:
    """Checks the signature as https://www.standardwebhooks.com has it; 401 where it is wrong."""

    def taken(request: web.Request, body: bytes) -> web.Response:
        headers = request.headers
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        right = any(one == f"v1,{expected}" for one in headers["webhook-signature"].split())
        return web.Response(status=200 if right else 401)

    return posts("/hook", taken, port)


@dataclass
class Letters:
    port: int = 0
    mails: list[Message] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)
    """Answers to the next RCPT commands, instead of taking them."""


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[Letters]:
    """SMTP with STARTTLS and AUTH PLAIN (RFC 5321, 3207, 4954), under a certificate of its own: `folder`/certificate.pem."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *subject], check=True, capture_output=True)  # noqa: ASYNC221 - short
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    found = Letters()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        encrypted = False

        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        await say("220 localhost ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    await say("250-localhost\r\n250 AUTH PLAIN" if encrypted else "250-localhost\r\n250 STARTTLS")
                case "STARTTLS":
                    await say("220 go on")
                    await writer.start_tls(context)
                    encrypted = True
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    found.logins.append((user, password))
                    await say("235 fine" if password != "wrong" else "535 no")
                case "RCPT" if found.refuse:
                    await say(found.refuse.pop(0))
                case "DATA":
                    await say("354 go on")
                    text = b""
                    while (part := await reader.readline()) not in (b".\r\n", b""):
                        text += part
                    found.mails.append(message_from_bytes(text, policy=default))
                    found.encrypted.append(encrypted)
                    await say("250 taken")
                case "QUIT":
                    await say("221 bye")
                    break
                case _:
                    await say("250 fine")
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found
