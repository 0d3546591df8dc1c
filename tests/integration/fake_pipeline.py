"""Stands in for `python -m services.pipeline` in tests of control: `fake_pipeline.py VERB --name=value …`.

What a verb does is chosen by the environment: FAKE_<VERB> = `bad data` | `fails` | `fails once` | `silent` | `hangs` | `deaf` | `refused`.
Every call is appended to the file FAKE_CALLS.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RESULTS = {
    "ingest": {"run_id": "run-1", "rows": 600, "data_hash": "abc", "source": "synthetic"},
    "validate": {"rows": 600, "problems": []},
    "train": {"threshold": 0.2},
    "evaluate": {"holdout": {"roc_auc": 0.8}},
    "register": {"version": "7", "engine": "gtil", "sha256": "0" * 64},
    "promote": {"promoted": True, "verdict": {"passed": True, "rules": []}},
    "partition": {"run_id": "run-1", "rows": 600, "version": "4", "policy_version": 2, "partitions": [0, 1]},
    "score": {"rows": 600, "partitions": [0, 1]},
    "gather": {"run_id": "run-1", "version": "4", "rows": 600, "parts": 2, "metrics": {"roc_auc": 0.8}},
    "predict": {"batch_id": "b-1", "rows": 5, "model_version": "4", "policy_version": 2, "decisions": {"stays": 5, "leaves": 0}},
    "forecast": {"forecasts": 1, "predictions": {"XBTUSD": "p-1"}, "skipped": {}, "interval": 60},
    "generate": {"run_id": "run-1", "rows": 600, "sha256": "0" * 64, "artifact": "1/run-1/artifacts/data/dataset.csv"},
    "drift": {"report": 1, "version": "4", "rows": 600, "alarm": True, "drifted": ["age"], "words": "age drifted"},
    "sample": {"run_id": "run-1", "version": "4", "rows": 600, "reference_rows": 2000},
    "evidently": {"run_id": "run-1", "artifact": os.environ.get("FAKE_ARTIFACT", ""), "rows": 600, "drifted": 1, "columns": 17, "words": "1 of 17"},
    "performance": {"report": 2, "rows": 300, "versions": ["4"], "alarm": False, "words": "version 4: as on the hold-out"},
}


def main() -> int:
    verb, calls = sys.argv[1], Path(os.environ["FAKE_CALLS"])
    mode = os.environ.get(f"FAKE_{verb.upper()}", "")
    before = calls.read_text().count(f'["{verb}"') if calls.exists() else 0
    with calls.open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    print(f"{verb}: progress for {os.environ['PIPELINE_ACTOR']}", file=sys.stderr, flush=True)
    if mode in {"hangs", "deaf"}:
        if mode == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "300"])
        Path(os.environ["FAKE_CALLS"] + ".pids").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(300)
    if mode == "bad data":
        problems = [{"column": "age", "rule": "must be 18 to 70", "rows": [3, 9], "count": 5}, {"column": "left", "rule": "is missing", "rows": [], "count": 1}]
        print(json.dumps({"error": "bad data", "problems": problems}))
        return 2
    if mode == "fails" or (mode == "fails once" and not before):
        print(f"{verb}: MLflow is away", file=sys.stderr)
        return 1
    result = RESULTS[verb]
    if mode == "refused":
        result = {"promoted": False, "verdict": {"passed": False, "rules": [{"rule": "floor", "passed": False, "words": "too low"}]}}
    if mode != "silent":
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
