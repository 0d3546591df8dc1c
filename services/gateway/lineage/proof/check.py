"""Checks a proof of Modelyard with the standard library alone. See README.txt for what each check means."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, Optional, Tuple  # noqa: UP035 - also for a Python of 2019

Proof = Dict[str, Any]  # noqa: UP006
Result = Tuple[Optional[bool], str]  # noqa: UP006, UP045
FOLLOWING = timedelta(seconds=30)
"""Replicas follow a change of the ledger a moment later: an answer so soon after it may still come from what served before."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162 - before 3.11 Python does not know Z


def seal(proof: Proof) -> Result:
    rest = {name: value for name, value in proof.items() if name != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    found = hashlib.sha256(text.encode()).hexdigest()
    return found == proof["seal"], f"proof.json is as it was made (SHA-256 {found[:16]}…)"


def chain(proof: Proof) -> Result:
    before: str | None = None
    wrong: list[int] = []
    for link in proof["chain"]:
        found = hashlib.sha256("{}\n{}".format(before or 64 * "0", link["text"]).encode()).hexdigest()
        if link["previous_hash"] != before or link["hash"] != found or json.loads(link["text"])["id"] != link["id"]:
            wrong.append(link["id"])
        before = link["hash"]
    whole = not wrong and before == proof["head"] and before is not None
    words = "the ledger's {} entries are a whole chain, head {}".format(len(proof["chain"]), proof["head"])
    return whole, words + ("" if not wrong else "; broken at entry {}".format(", ".join(map(str, wrong))))


def entry_of(proof: Proof, name: str) -> Any:
    return next((json.loads(link["text"]) for link in proof["chain"] if link["id"] == proof[name]), None)


def deployed(proof: Proof) -> Result:
    """The entry let this version answer."""
    entry, asked = entry_of(proof, "deployment"), proof["prediction"]
    if entry is None:
        return False, "no entry of the ledger let version {} answer".format(asked["model_version"])
    words = "entry {} ({} by {}: {}) let version {} answer since {}".format(
        entry["id"], entry["action"], entry["actor"], entry["reason"], asked["model_version"], entry["created_at"]
    )
    side = "challenger" if entry["action"] == "canary" else "to_version"
    return entry["model"] == asked["model"] and entry[side] == asked["model_version"], words


def in_force(proof: Proof) -> Result:
    """At the time of the answer nobody had put another version in its place."""
    asked = proof["prediction"]
    when = moment(asked["created_at"])
    entries = [json.loads(link["text"]) for link in proof["chain"]]
    near = [entry for entry in entries if when - FOLLOWING < moment(entry["created_at"]) <= when + FOLLOWING]
    before = [entry for entry in entries if moment(entry["created_at"]) <= when - FOLLOWING][-1:]
    named = {version for entry in before + near for version in (entry["to_version"], entry["challenger"])}
    return asked["model_version"] in named, "the ledger names version {} at {}".format(asked["model_version"], asked["created_at"])


def version(proof: Proof) -> Result:
    """The chain holds the same files and training data."""
    entry = entry_of(proof, "deployment")
    bound = entry and entry["challenger_artifact" if entry["action"] == "canary" else "artifact"]
    said = proof["version"]
    right = bool(bound) and all(bound[name] == said[name] for name in ("sha256", "data_hash", "source", "run_id"))
    right = right and said["version"] == proof["prediction"]["model_version"]
    return right, "the chain binds version {} to files {}… and training data {}".format(said["version"], said["sha256"][:16], said["data_hash"])


def verdict(proof: Proof) -> Result:
    """What the gate had said when the version was promoted is in the chain."""
    entry = entry_of(proof, "deployment")
    if not entry or entry["action"] != "promote":
        return None, "the entry is no promotion: it carries no verdict of the gate"
    said = entry["verdict"]
    words = "had not judged" if said is None else "passed" if said["passed"] else "refused"
    return said == proof["version"]["verdict"], f"the gate {words} the version when it was promoted"


def policy(proof: Proof) -> Result:
    """The chain holds the same threshold and costs."""
    said = proof["policy"]
    if said is None:
        return None, "the answer is a number: nothing was decided by a policy"
    entry = entry_of(proof, "policy_deployment")
    bound = entry and entry["challenger_rule" if entry["action"] == "canary" else "policy"]
    right = bool(bound) and all(bound[name] == said[name] for name in ("threshold", "costs", "risk_levels"))
    right = right and said["version"] == proof["prediction"]["policy_version"]
    return right, "the chain binds policy {} to threshold {}".format(said["version"], said["threshold"])


def decision(proof: Proof) -> Result:
    """The score and the threshold give the decision."""
    said, answer = proof["policy"], proof["prediction"]["output"]
    if said is None:
        return None, "there is no decision to derive"
    positive = int(answer["probability"] >= said["threshold"])
    right = positive == answer["prediction"] and answer["decision"] == proof["prediction"]["decision"] and answer["probability"] == proof["prediction"]["score"]
    return right, "probability {} and threshold {} give prediction {}: {}".format(answer["probability"], said["threshold"], positive, answer["decision"])


def reproduced(proof: Proof) -> Result:
    again = proof["reproduction"]
    return again["exact"], "computed again when this was made: " + again["words"]


CHECKS = (seal, chain, deployed, in_force, version, verdict, policy, decision, reproduced)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("proof", nargs="?", type=Path, default=Path(__file__).resolve().parent / "proof.json")
    asked.add_argument("--head", help="a hash of the ledger that was noted elsewhere")
    given = asked.parse_args()
    proof = json.loads(given.proof.read_text(encoding="utf-8"))
    results: list[Result] = []
    for check in CHECKS:
        try:
            results.append(check(proof))
        except (KeyError, TypeError, ValueError) as error:
            results.append((False, f"{check.__name__} cannot be checked: {error!r}"))
    if given.head:
        there = any(link["hash"] == given.head for link in proof["chain"])
        results.append((there, "the hash that was noted elsewhere is {}in the chain".format("" if there else "not ")))
    for right, words in results:
        sys.stdout.write("{}  {}\n".format({True: "ok    ", False: "WRONG ", None: "none  "}[right], words))
    wrong = sum(right is False for right, _ in results)
    name = proof["prediction"]["prediction_id"]
    if wrong:
        sys.stdout.write(f"{wrong} of {len(results)} checks fail: do not rely on this proof of {name}.\n")
    else:
        sys.stdout.write(f"Prediction {name}: nothing contradicts the proof.\n")
        sys.stdout.write("Compare it with the caller's own copy, and the head with one that was noted elsewhere.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
