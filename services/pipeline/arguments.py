"""The command line, apart from the verbs' modules so that `--help` waits for no library."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Parser = argparse.ArgumentParser

EMPTY = re.compile(r"--[a-z-]+=")
"""An option without a value counts as not given: a workflow writes all of them, whether it has a value for each or not."""
MOST_PARTITIONS = 32


@dataclass(frozen=True)
class Verb:
    summary: str
    add: Callable[[Parser], object]
    of_model: bool = True
    """Works on a model of the catalogue; else it is given control alone."""


def _data(parser: Parser, *more: str) -> None:
    parser.add_argument(
        "--source", choices=["synthetic", "files", "live", *more], help="where the rows come from; live: from control (default: the catalogue's)"
    )
    parser.add_argument("--data-dir", type=Path, help="with --source files: the folder with the published CSV files, or one file")
    _synthetic(parser)


def _synthetic(parser: Parser) -> None:
    parser.add_argument("--seed", type=_at_least(0), help="with --source synthetic: the same seed gives the same rows (default: the catalogue's)")
    parser.add_argument("--drift", type=float, default=0.0, help="with --source synthetic: 0 is the documented relation, 1 a clearly different population")


def _ingest(parser: Parser) -> None:
    _data(parser, "recent")
    _rows(parser)
    _input(parser)


def _input(parser: Parser) -> None:
    parser.add_argument("--input", help="to be scored instead of a data set: a path, runs:/RUN/PATH of MLflow (.csv, .csv.gz, .parquet), or table:NAME")
    parser.add_argument("--resume", help="the MLflow run of a scoring with --input that did not come to its end")


def _gather(parser: Parser) -> None:
    _run(parser)
    _input(parser)


def _generate(parser: Parser) -> None:
    _synthetic(parser)
    _rows(parser)


def _rows(parser: Parser) -> None:
    parser.add_argument("--rows", type=_at_least(100), help="with --source synthetic: how many (default: the catalogue's)")


def _run(parser: Parser) -> None:
    parser.add_argument("--run-id", required=True, help="the MLflow run that `ingest` printed")


def _train(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--seed", type=_at_least(0), help="of the folds and the estimator (default: the catalogue's)")


def _promote(parser: Parser) -> None:
    parser.add_argument("--version", required=True, help="the version that `register` printed")
    parser.add_argument("--reason", default="trained", help="stands in the ledger (default: %(default)s)")
    parser.add_argument("--rollout", choices=["direct", "shadow"], help="serve at once, or be tried first (default: tried when nobody asked for the training)")
    parser.add_argument("--force", action="store_true", help="promote although the gate refuses; the ledger keeps the failed verdict")


def _partition(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--version", help="the version that is to answer (default: the one that serves)")
    parser.add_argument("--partitions", type=_at_least(1, MOST_PARTITIONS), help="how many parts of about the same size (default: one per 50,000 rows)")
    parser.add_argument(
        "--audit", choices=["summary", "rows"], help="of an --input: a record of each part, or also every row as a prediction (default: summary)"
    )
    _input(parser)


def _score(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--partition", type=_at_least(0), help="the number of one that `partition` printed (default: all)")
    _input(parser)


def _predict(parser: Parser) -> None:
    _data(parser)
    parser.add_argument("--rows", type=_at_least(1), default=100, help="how many of the newest rows (default: %(default)s)")
    parser.add_argument("--key", help="asked again with the same key, the gateway gives its first answer and records nothing twice")


def _window(parser: Parser) -> None:
    parser.add_argument("--version", help="whose answers (default: the version that serves)")
    parser.add_argument("--rows", type=_at_least(1, 100_000), help="the newest so many rows (default: the catalogue's)")
    parser.add_argument("--hours", type=_at_least(1, 8760), help="none that are older (default: the catalogue's)")


def _forecast(parser: Parser) -> None:
    parser.add_argument("--interval", type=int, choices=[60, 1440], default=60, help="minutes of a candle (default: %(default)s)")
    parser.add_argument("--key", help="asked again with the same key, the gateway gives its first answer and records nothing twice")


def _replay(parser: Parser) -> None:
    parser.add_argument("--version", help="the version to compare with what was answered (default: the one that is tried)")
    parser.add_argument("--since", help="a moment in ISO 8601 with an offset: rows answered from then on (default: all that the version that serves answered)")
    parser.add_argument("--until", help="and before then")
    parser.add_argument("--limit", type=_at_least(1), help="so many rows at most, the newest")


def _tell_control(parser: Parser) -> None:
    parser.add_argument("--workflow", required=True, help="its name")
    parser.add_argument("--status", required=True, help="as Argo calls it")


VERBS = {
    "ingest": Verb("get a data set and start a run with it", _ingest),
    "validate": Verb("check the run's data set; every problem found is printed, and the exit code is then 2", _run),
    "train": Verb("cross-validate and fit on the training part, choose the decision threshold", _train),
    "evaluate": Verb("measure on the hold-out, beside the baseline, with 95 % intervals", _run),
    "register": Verb("choose the engine, write the artifact, make it a version", _run),
    "promote": Verb("let the gate judge a version, and serve it when it passes", _promote),
    "partition": Verb("choose the version that is to answer the run's data set, and divide this", _partition),
    "score": Verb("answer one part of the data set, or all", _score),
    "gather": Verb("make sure that every row is answered once, and measure the answers where the truth is known", _gather),
    "predict": Verb("have the gateway answer, and record, the newest rows of the data source", _predict),
    "generate": Verb("make up a data set and keep it as a CSV file in MLflow", _generate),
    "drift": Verb("compare the rows that were asked with those that the version learned from", _window),
    "sample": Verb("put rows that were asked beside rows that the version was made for, in a run", _window),
    "evidently": Verb("write Evidently's report of the run's sample; needs the packages of the group `evidently`", _run),
    "performance": Verb("measure the answers whose outcome is known, by version, day and segment", lambda _: None),
    "forecast": Verb("have the gateway forecast, and record, the next candle of every asset", _forecast),
    "replay": Verb("compare a version with what was answered, from the audit", _replay),
    "tell-control": Verb("tell control to look at a workflow", _tell_control, of_model=False),
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
        if verb.of_model:
            one.add_argument("--model", required=True, help="a model of the catalogue")
        one.add_argument("--debug", action="store_true", help="show the traceback of a failure")
        verb.add(one)
    return whole


def parse(words: Sequence[str]) -> dict[str, Any]:
    return vars(parser().parse_args([word for word in words if not EMPTY.fullmatch(word)]))


def _at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, is {value}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, is {value}")
        return value

    return whole_number
