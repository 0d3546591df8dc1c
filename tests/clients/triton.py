"""tritonclient against one of our servers. Standard input: {"url", "headers", "model", "version", "inputs": tensors, "outputs": names, "wrong": tensors}.

Prints what it got, as JSON. Runs in the environment of requirements.txt, not in the project's.
"""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

JOB = json.load(sys.stdin)


def tensors(given: list[dict[str, Any]], binary: bool) -> list[InferInput]:
    made = []
    for one in given:
        tensor = InferInput(one["name"], one["shape"], one["datatype"])
        tensor.set_data_from_numpy(np.array(one["data"], dtype=triton_to_np_dtype(one["datatype"])).reshape(one["shape"]), binary_data=binary)
        made.append(tensor)
    return made


def infer(client: InferenceServerClient, given: list[dict[str, Any]], binary: bool, version: str = "") -> dict[str, Any]:
    """In bytes as the client's defaults are, or in JSON both ways."""
    outputs = None if binary else [InferRequestedOutput(name, binary_data=False) for name in JOB["outputs"]]
    result = client.infer(JOB["model"], tensors(given, binary), version, outputs=outputs, request_id="42", headers=dict(JOB["headers"]))
    answer = result.get_response()
    columns = {output["name"]: result.as_numpy(output["name"]).tolist() for output in answer["outputs"]}
    texts = {name: [value.decode() if isinstance(value, bytes) else value for value in values] for name, values in columns.items()}
    return {"id": answer["id"], "version": answer["model_version"], "parameters": answer["parameters"], "outputs": texts}


def refused(client: InferenceServerClient, *arguments: Any) -> list[str]:
    """Status and words, as the client's user sees them."""
    try:
        infer(client, *arguments)
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return []


def main() -> None:
    headers = JOB["headers"]
    with InferenceServerClient(JOB["url"].removeprefix("http://")) as client:
        seen = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready(JOB["model"], headers=headers),
            "version_ready": [client.is_model_ready(JOB["model"], version, headers=headers) for version in (JOB["version"], "999")],
            "server": client.get_server_metadata(),
            "metadata": client.get_model_metadata(JOB["model"], headers=headers),
            "json": infer(client, JOB["inputs"], False),
            "binary": infer(client, JOB["inputs"], True),
            "version": infer(client, JOB["inputs"], True, JOB["version"]),
            "other_version": refused(client, JOB["inputs"], True, "999"),
            "wrong": refused(client, JOB["wrong"], True),
        }
        if headers:
            JOB["headers"] = {}
            seen["nobody"] = refused(client, JOB["inputs"], True)
    json.dump(seen, sys.stdout)


main()
