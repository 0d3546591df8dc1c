"""Predict. One row is answered by hot.py, before the framework's stack; openapi.py documents both."""

from starlette.routing import Route

from services.gateway import hot
from services.gateway.predictions.batch import endpoint as batch

ONE = hot.ONE
BATCH = batch.PATH
routes = [Route(ONE, hot.Predict(), methods=["POST"]), Route(BATCH, batch.predict_batch, methods=["POST"])]
