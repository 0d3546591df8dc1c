"""FastAPI and a joblib file. The endpoint is `async`, which spares it a thread for each call of the model."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["BENCH_MODEL"])
app = FastAPI()


class Rows(BaseModel):
    rows: list[list[float]]


class Probabilities(BaseModel):
    probabilities: list[float]


@app.post("/predict")
async def predict(body: Rows) -> Probabilities:
    return Probabilities(probabilities=model.predict_proba(np.array(body.rows))[:, 1].tolist())
