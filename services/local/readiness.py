"""Is it ready? A plain HTTP or TCP probe on a thread-free asyncio connection."""

import asyncio
from urllib.parse import urlsplit


async def probe(target: str, seconds: float = 2.0) -> bool:
    """`http://host:port/path` is ready when it answers 2xx, `tcp://host:port` when it accepts."""
    parts = urlsplit(target)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            if parts.scheme == "tcp":
                return True
            writer.write(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
            return status.split(b" ")[1:2] != [] and status.split(b" ")[1].startswith(b"2")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def probe_all(targets: dict[str, str], seconds: float = 2.0) -> dict[str, bool]:
    """All at once."""
    answers = await asyncio.gather(*(probe(target, seconds) for target in targets.values()))
    return dict(zip(targets, answers, strict=True))
