from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say
from services.commands.report import save

Prediction = Annotated[str, typer.Argument(metavar="PREDICTION_ID", help="Its id, as in the answer.")]


def lineage(prediction_id: Prediction, as_document: AsJson = False) -> None:
    """Print what an answer stands on: input, version, training data, code, verdict, policy, and who put them there."""
    found = access.gateway().get(f"/predictions/{quote(prediction_id, safe='')}/lineage")
    if as_document:
        as_json(found)
        return
    asked, version, policy = found["prediction"], found["version"], found["policy"]
    say(f"prediction  {asked['prediction_id']}, {moment(asked['created_at'])}, asked by {asked['username']} (request {asked['request_id']})")
    say(f"input       {_listed(asked['input'])}")
    say(f"answer      {_listed(asked['output'])}")
    say(f"model       {asked['model']}, version {version['version']}, engine {version['engine']}, files sha256 {version['sha256']}")
    say(f"trained     {moment(version['created_at'])}, run {version['run_id']}, on {version['source']} data {version['data_hash']}")
    say(f"code        {found['code_revision'] or 'not under version control where it was trained'}")
    say(f"gate        {_gate(version['verdict'])}")
    if policy is not None:
        rule = f"threshold {number(policy['threshold'])}, costs {_listed(policy['costs'])}"
        say(f"policy      {policy['version']}: {rule}, by {policy['actor']}: {policy['reason']}")
    for name, entry in (("deployed", found["deployment"]), ("policy set", found["policy_deployment"])):
        if entry is not None and (name == "deployed" or entry != found["deployment"]):
            say(f"{name:<11} {moment(entry['created_at'])}, {entry['action']} by {entry['actor']}: {entry['reason']} (ledger entry {entry['id']})")
    say(f"ledger      head {found['head']}")


def reproduce(prediction_id: Prediction, as_document: AsJson = False) -> None:
    """Compute a stored answer again with the version and policy that gave it; exit code 1 when it is not the same to the bit."""
    found = access.gateway().get(f"/predictions/{quote(prediction_id, safe='')}/reproduction")
    if as_document:
        as_json(found)
    else:
        say(f"{found['model']} version {found['model_version']}: {found['words']}")
        for run in [] if found["exact"] else found["runs"]:
            for part in run["differences"]:
                say(f"  {run['engine']} ({run['way']}): {part['field']} was {part['stored']!r}, is {part['reproduced']!r}")
    if not found["exact"]:
        raise typer.Exit(1)


def proof(prediction_id: Prediction, out: Annotated[Path | None, typer.Option(help="Where the zip goes; by default a name of its own here.")] = None) -> None:
    """Write one file for an auditor: an answer, all that it stands on, and a program that checks it without the platform."""
    save(access.gateway(), f"/predictions/{quote(prediction_id, safe='')}/proof", out or Path(f"proof-{prediction_id}.zip"))


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _gate(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "has not judged the version"
    rules = "; ".join(str(rule["words"]) for rule in verdict["rules"])
    return f"{'passed' if verdict['passed'] else 'failed'}: {rules}"
