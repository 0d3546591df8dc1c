"""kserve's InferenceRESTClient against one of our servers; takes and prints what triton.py does, as far as this client can ask for it."""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

JOB = json.load(sys.stdin)
DATATYPES = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


def request(given: list[dict[str, Any]], binary: bool) -> InferRequest:
    inputs = []
    for one in given:
        tensor = InferInput(one["name"], one["shape"], one["datatype"])
        tensor.set_data_from_numpy(np.array(one["data"], dtype=DATATYPES[one["datatype"]]).reshape(one["shape"]), binary_data=binary)
        inputs.append(tensor)
    outputs = [RequestedOutput(name, {"binary_data": binary}) for name in JOB["outputs"]]
    return InferRequest(JOB["model"], inputs, request_id="42", request_outputs=outputs)


async def infer(client: InferenceRESTClient, given: list[dict[str, Any]], binary: bool) -> dict[str, Any]:
    answer = await client.infer(JOB["url"], request(given, binary), JOB["model"], headers=dict(JOB["headers"]))
    columns = {output.name: output.as_numpy().tolist() for output in answer.outputs}
    return {"id": answer.id, "version": answer.parameters["model_version"], "parameters": answer.parameters, "outputs": columns}


async def refused(client: InferenceRESTClient, given: list[dict[str, Any]]) -> list[str]:
    try:
        await infer(client, given, True)
    except httpx.HTTPStatusError as error:
        return [str(error.response.status_code), error.response.json()["error"]]
    return []


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    seen = {
        "live": await client.is_server_live(JOB["url"]),
        "ready": await client.is_server_ready(JOB["url"]),
        "model_ready": await client.is_model_ready(JOB["url"], JOB["model"], headers=JOB["headers"]),
        "json": await infer(client, JOB["inputs"], False),
        "binary": await infer(client, JOB["inputs"], True),
        "wrong": await refused(client, JOB["wrong"]),
    }
    if JOB["headers"]:
        JOB["headers"] = {}
        seen["nobody"] = await refused(client, JOB["inputs"])
    await client.close()
    json.dump(seen, sys.stdout)


asyncio.run(main())
