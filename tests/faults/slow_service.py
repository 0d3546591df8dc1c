"""A process with nothing but the kit's server: a large answer, and what it knows of its connections."""

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.kit import service

SIZE = 40_000_000


async def large(_request: Request) -> Response:
    return Response(bytes(SIZE))


async def streamed(_request: Request) -> Response:
    async def parts():  # type: ignore[no-untyped-def]
        for _ in range(40):
            yield bytes(SIZE // 40)

    return StreamingResponse(parts())


async def length(request: Request) -> Response:
    return JSONResponse({"length": len(await request.body())})


if __name__ == "__main__":
    routes = [Route("/large", large), Route("/streamed", streamed), Route("/length", length, methods=["POST"])]
    service.serve(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), client_seconds=float(sys.argv[2]))
