"""The stack of many tutorials: FastAPI checks a JWT, asks a BentoML service over httpx, and inserts a row for each prediction before it answers.

Better than most: one HTTP client and one pool of connections for the whole process.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

SECRET = os.environ["TUTORIAL_SECRET"]
RUNNER = os.environ["TUTORIAL_RUNNER"]
DATABASE = os.environ["TUTORIAL_DATABASE"]

TABLE = """
CREATE TABLE IF NOT EXISTS tutorial_predictions (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    username text NOT NULL,
    input jsonb NOT NULL,
    probability double precision NOT NULL
)
"""
INSERT = "INSERT INTO tutorial_predictions (id, username, input, probability) VALUES (%s, %s, %s, %s)"


class Row(BaseModel):
    features: list[float] = Field(min_length=1)


class Answer(BaseModel):
    prediction_id: uuid.UUID
    probability: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=RUNNER, timeout=10) as client, AsyncConnectionPool(DATABASE, min_size=4, max_size=16, open=False) as pool:
        async with pool.connection() as connection:
            await connection.execute(TABLE)
        yield {"client": client, "pool": pool}


app = FastAPI(lifespan=lifespan)


def username(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        return str(jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "invalid token") from error


@app.post("/predict")
async def predict(row: Row, request: Request, user: Annotated[str, Depends(username)]) -> Answer:
    response = await request.state.client.post("/predict", json={"rows": [row.features]})
    response.raise_for_status()
    answer = Answer(prediction_id=uuid.uuid4(), probability=response.json()[0])
    async with request.state.pool.connection() as connection:
        await connection.execute(INSERT, (answer.prediction_id, user, Jsonb(row.features), answer.probability))
    return answer
