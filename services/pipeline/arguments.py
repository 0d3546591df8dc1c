"""The command line, apart from the verbs' modules so that `--help` waits for no library."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Parser = argparse.ArgumentParser


@dataclass(frozen=True)
class Verb:
    summary: str
    add: Callable[[Parser], object]


def _ingest(parser: Parser) -> None:
    parser.add_argument("--source", choices=["synthetic", "files"], help="where the rows come from (default: the catalogue's)")
    parser.add_argument("--data-dir", type=Path, help="with --source files: the folder with the published CSV files, or one file")
    parser.add_argument("--rows", type=_at_least(100), help="with --source synthetic: how many (default: the catalogue's)")
    parser.add_argument("--seed", type=_at_least(0), help="with --source synthetic: the same seed gives the same rows (default: the catalogue's)")
    parser.add_argument("--drift", type=float, default=0.0, help="with --source synthetic: 0 is the documented relation, 1 a clearly different population")


def _run(parser: Parser) -> None:
    parser.add_argument("--run-id", required=True, help="the MLflow run that `ingest` printed")


def _train(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--seed", type=_at_least(0), help="of the folds and the estimator (default: the catalogue's)")


def _promote(parser: Parser) -> None:
    parser.add_argument("--version", required=True, help="the version that `register` printed")
    parser.add_argument("--reason", default="trained", help="stands in the ledger (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="promote although the gate refuses; the ledger keeps the failed verdict")


VERBS = {
    "ingest": Verb("get a data set and start a run with it", _ingest),
    "validate": Verb("check the run's data set; every problem found is printed, and the exit code is then 2", _run),
    "train": Verb("cross-validate and fit on the training part, choose the decision threshold", _train),
    "evaluate": Verb("measure on the hold-out, beside the baseline, with 95 % intervals", _run),
    "register": Verb("choose the engine, write the artifact, make it a version", _run),
    "promote": Verb("let the gate judge a version, and serve it when it passes", _promote),
}


def parser() -> Parser:
    whole = Parser(
        prog="python -m services.pipeline",
        description="Progress goes to standard error; the last line of standard output is the result as JSON. "
        "Exit code 2: the data or the arguments are wrong, trying again will not help; 1: anything else.",
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        one = verbs.add_parser(name, help=verb.summary.replace("%", "%%"), description=f"{name}: {verb.summary}.".replace("%", "%%"))
        one.add_argument("--model", required=True, help="a model of the catalogue")
        one.add_argument("--debug", action="store_true", help="show the traceback of a failure")
        verb.add(one)
    return whole


def _at_least(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, is {value}")
        return value

    return whole_number
