"""`python -m services.pipeline VERB --model M …`"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, closing, redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bentos import catalogue
from services.pipeline.arguments import parse
from services.pipeline.failure import Failure, Final

BAD_DATA, FAILED = 2, 1


def main(argv: Sequence[str] | None = None) -> int:
    """The result is all that standard output gets, whatever a library may print meanwhile: whoever carries the steps out reads it there."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    verb, model, debug = arguments.pop("verb"), arguments.pop("model", None), arguments.pop("debug")
    _log(verb)
    if model is not None and model not in catalogue.load().models:
        print(f"{verb}: unknown model {model!r}; the catalogue has {', '.join(catalogue.names())}", file=sys.stderr)
        return BAD_DATA
    try:
        with redirect_stdout(sys.stderr):
            result, code = _perform(verb, model, arguments)
    except Exception as error:  # noqa: BLE001 - the last resort of a process: one line instead of a traceback
        if debug:
            traceback.print_exc()
        words = str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error} (--debug shows where)"
        print(f"{verb}: {words}", file=sys.stderr)
        return BAD_DATA if isinstance(error, Final) else FAILED
    print(json.dumps(result, allow_nan=False), flush=True)
    return code


def _perform(verb: str, model: str | None, arguments: dict[str, Any]) -> tuple[dict[str, Any], int]:
    from services.kit.settings import read
    from services.pipeline.control import Control
    from services.pipeline.settings import PipelineSettings

    settings = read(verb, PipelineSettings)
    run = import_module(f"services.pipeline.{_module(verb, arguments)}").run
    with ExitStack() as stack:
        control = stack.enter_context(closing(Control(settings.control_url, settings.control_token.get_secret_value(), settings.actor)))
        if model is None:
            return run(control, **arguments), 0
        from bentos.contract import BadData
        from services.pipeline.gateway import Gateway
        from services.pipeline.job import Job
        from services.pipeline.runs import Runs

        key = settings.gateway_key
        gateway = stack.enter_context(closing(Gateway(settings.gateway_url, key.get_secret_value() if key else "")))
        runs = stack.enter_context(closing(Runs(settings.mlflow_url)))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="modelyard-")))
        tables = settings.tables_url.get_secret_value() if settings.tables_url else None
        job = Job(model, catalogue.load().models[model], runs, control, gateway, folder, tables, settings.part_rows, settings.revision)
        try:
            return run(job, **arguments), 0
        except BadData as bad:
            job.runs.give_up(str(bad))
            for problem in bad.problems:
                print(f"{verb}: {problem}", file=sys.stderr)
            problems = [{"column": one.column, "rule": one.rule, "rows": one.rows, "count": one.count} for one in bad.problems]
            return {"error": "bad data", "problems": problems}, BAD_DATA
        except Exception as error:
            job.runs.give_up(str(error))
            raise


def _module(verb: str, arguments: dict[str, Any]) -> str:
    """What scores a file or a table has steps of the same names. Which input it is matters to the first of them alone."""
    if not {"input", "resume"} <= arguments.keys():
        return verb.replace("-", "_")
    of_input = bool(arguments["input"] or arguments["resume"])
    if verb != "ingest" or not of_input:
        del arguments["input"], arguments["resume"]
    if verb == "partition" and not of_input:
        del arguments["audit"]
    return f"scored.{verb}" if of_input else verb


def _log(verb: str) -> None:
    logging.basicConfig(level=logging.WARNING, format=f"{verb}: %(message)s", stream=sys.stderr)
    for ours in ("services", "bentos"):
        logging.getLogger(ours).setLevel(logging.INFO)
    os.environ.setdefault("MPLBACKEND", "Agg")


if __name__ == "__main__":
    sys.exit(main())
