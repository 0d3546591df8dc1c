"""Run by `helm test`, in the gateway's image: logs in as the administrator and has every model with a champion predict its own example."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

from bentos.schemas import schema

GATEWAY = os.environ["GATEWAY_URL"]
PATIENCE_SECONDS = 60
"""Of a pod that the network does not let through yet, of a gateway that has not heard yet where a new runner is."""


def ask(path, body=None, token=None):
    """Waits for whoever is not there yet; any other refusal ends the test."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return once(path, body, token)
        except urllib.error.HTTPError as error:
            said = f"{path} was answered {error.code}: {error.read().decode()[:500]}"
            if error.code != 503 or time.monotonic() > deadline:
                sys.exit(said)
        except urllib.error.URLError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{GATEWAY} does not answer: {error.reason}")
        time.sleep(1)


def once(path, body, token):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(GATEWAY + path, data=None if body is None else json.dumps(body).encode(), headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.load(answer)


def main():
    token = ask("/auth/login", {"username": "admin", "password": os.environ["ADMIN_PASSWORD"]})["access_token"]
    print(f"logged in as admin at {GATEWAY}")
    served = 0
    for model in ask("/models", token=token)["models"]:
        name, champion = model["name"], model["champion"]
        if not champion:
            print(f"{name}: nothing has been promoted yet, not asked")
            continue
        began = time.perf_counter()
        answer = ask(f"/predict/{name}", schema(name).EXAMPLE, token)
        took = (time.perf_counter() - began) * 1000
        kept = ask(f"/predictions/{answer['prediction_id']}", token=token)
        print(f"{name}: version {answer['model_version']} said {answer['prediction']} in {took:.0f} ms, stored as {kept['prediction_id']}")
        served += 1
    print(f"{served} models predicted, and every answer is in the database")


if __name__ == "__main__":
    main()
