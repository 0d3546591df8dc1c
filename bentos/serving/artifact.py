"""The folder that a version is: written by `register`, checked byte by byte before a runner serves from it."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bentos import contract
from bentos.contract import Columns, Floats
from bentos.serving import engines, estimators, intervals, shapley
from bentos.serving.intervals import Shifts

SUMS, CONTRACT, GOLDEN, REFERENCE = "SHA256SUMS", "contract.json", "golden.json", "reference.json"
GOLDEN_TOLERANCE = 1e-12
FEWEST_GOLDEN_ROWS = 20
BLOCK = 1024
"""Rows that are scored at a time: their matrix stays in the processor's cache."""
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]{0,99})")


class Refused(Exception):
    """The message says which check failed, what was expected and what was found."""


@dataclass(frozen=True, eq=False)
class Artifact:
    folder: Path
    model: str
    sha256: str
    contract: dict[str, Any]
    engine: engines.Engine
    golden_rows: list[dict[str, Any]]
    golden_scores: Floats
    tolerance: float

    @property
    def shifts(self) -> Shifts | None:
        """Of the score, for the bounds of intervals; None for a version that has none."""
        found: Shifts | None = self.contract.get("intervals")
        return found

    def score(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Columns]:
        """Request rows through the same functions as in training. Raises KeyError for a missing field."""
        columns = _reader(self.model)(rows)
        return self.score_columns(columns, len(rows)), columns

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Columns]:
        """What the estimator sees of request rows. Raises KeyError for a missing field."""
        columns = _reader(self.model)(rows)
        return contract.features(self.model).matrix(columns), columns

    def score_columns(self, columns: Columns, rows: int) -> Floats:
        """In blocks: a row has the same score whatever is scored with it."""
        matrix, engine = contract.features(self.model).matrix, self.engine
        if rows <= BLOCK:
            return engine.scores(matrix(columns))
        scores = np.empty(rows)
        for start in range(0, rows, BLOCK):
            part = slice(start, start + BLOCK)
            scores[part] = engine.scores(matrix({name: values[part] for name, values in columns.items()}))
        return scores

    def check_golden(self, rows: int | None = None) -> None:
        """Raises Refused when one of the first `rows` golden rows (all by default) is not reproduced by one of the version's engines."""
        wanted = self.golden_scores[:rows]
        try:
            matrix, _ = self.matrix(self.golden_rows[:rows])
            found = [form.scores(matrix) for form in engines.forms(self.engine)]
        except Exception as error:
            raise Refused(f"{GOLDEN}: the golden rows cannot be scored: {type(error).__name__}: {error}") from error
        for scores in found:
            self._compare(scores, wanted)

    def _compare(self, scores: Floats, wanted: Floats) -> None:
        wrong = ~(np.abs(scores - wanted) <= self.tolerance * np.maximum(1.0, np.abs(wanted)))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise Refused(
                f"{GOLDEN}: {int(wrong.sum())} of {len(wrong)} golden rows are not reproduced; "
                f"row {first}: expected {wanted[first]!r}, found {scores[first]!r}, tolerance {self.tolerance}"
            )


@cache
def _reader(model: str) -> contract.RowReader:
    return contract.RowReader(contract.kinds(contract.schema(model).Input))


def versions() -> dict[str, str]:
    """What must be the same where a model is trained and where it serves."""
    return {"python": ".".join(platform.python_version_tuple()[:2]), "scikit-learn": version("scikit-learn"), "numpy": version("numpy")}


def write(
    folder: Path,
    *,
    model: str,
    task: str,
    estimator: Any,
    stored: engines.Stored,
    golden: list[dict[str, Any]],
    golden_scores: Floats,
    reference: dict[str, Any],
    run_id: str,
    shifts: Shifts | None = None,
) -> str:
    """Fills the (empty or new) folder and returns the version's sha256. Raises ValueError with too few golden rows."""
    if len(golden) < FEWEST_GOLDEN_ROWS or len(golden) != len(golden_scores):
        raise ValueError(f"{len(golden)} golden rows with {len(golden_scores)} scores; {FEWEST_GOLDEN_ROWS} is the least, one score each")
    folder.mkdir(parents=True, exist_ok=True)
    estimators.store(estimator, folder)
    engines.save(stored, folder)
    if (explainer := shapley.candidate(estimator)) is not None:
        explainer.save(folder)
    documents: dict[str, dict[str, Any]] = {
        CONTRACT: {
            "model": model,
            "task": task,
            "features": list(contract.features(model).FEATURES),
            "inputs": list(contract.schema(model).Input.model_fields),
            "versions": versions(),
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": run_id,
            "intervals": shifts and dict(shifts),
        },
        GOLDEN: {"rows": golden, "scores": [float(score) for score in golden_scores], "tolerance": GOLDEN_TOLERANCE},
        REFERENCE: reference,
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS)
    (folder / SUMS).write_text("".join(f"{digest(folder / name)}  {name}\n" for name in names), encoding="utf-8")
    return digest(folder / SUMS)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_sums(content: bytes, sha256: str | None) -> dict[str, str]:
    """File name → sha256. Raises Refused when the list is not the one named by `sha256`, or names anything but plain files."""
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise Refused(f"{SUMS}: expected sha256 {sha256}, found {found}")
    listed: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        match = _SUM_LINE.fullmatch(line)
        if match is None or match[2] in (SUMS, *listed):
            raise Refused(f"{SUMS}: line {line[:120]!r} is not `<sha256>  <plain file name>`, or names a file twice")
        listed[match[2]] = match[1]
    missing = {estimators.DATA, engines.DESCRIPTION, CONTRACT, GOLDEN, REFERENCE} - set(listed)
    if missing:
        raise Refused(f"{SUMS}: does not list {', '.join(sorted(missing))}")
    return listed


def read(folder: Path, model: str, sha256: str | None) -> Artifact:
    """Makes every check of the model's load; `sha256` is the one that control knows the version by (None: not known). Raises Refused."""
    digest_of_sums = check_bytes(folder, sha256)
    described = _document(folder, CONTRACT)
    _check_contract(model, described)
    golden = _document(folder, GOLDEN)
    try:
        rows, scores, tolerance = golden["rows"], np.array(golden["scores"], dtype=np.float64), float(golden["tolerance"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{GOLDEN}: {error!r}") from None
    if len(rows) < FEWEST_GOLDEN_ROWS or len(rows) != len(scores):
        raise Refused(f"{GOLDEN}: expected at least {FEWEST_GOLDEN_ROWS} rows with one score each, found {len(rows)} rows and {len(scores)} scores")
    try:
        engine = engines.load(folder)
    except Exception as error:  # whatever a library raises on a file that it does not understand
        raise Refused(f"{engines.DESCRIPTION}: the engine cannot be loaded: {type(error).__name__}: {error}") from error
    found = Artifact(folder, model, digest_of_sums, described, engine, rows, scores, tolerance)
    found.check_golden()
    return found


def check_bytes(folder: Path, sha256: str | None) -> str:
    """The first part of `read`: are the files, all of them and no others, those that were registered? Returns the sha256 of the list."""
    try:
        content = (folder / SUMS).read_bytes()
    except OSError as error:
        raise Refused(f"{SUMS}: cannot be read: {error.strerror}") from None
    listed = parse_sums(content, sha256)
    present = {path.name for path in folder.iterdir()} - {SUMS}
    if present != set(listed):
        extra, absent = sorted(present - set(listed)), sorted(set(listed) - present)
        raise Refused("; ".join([f"{name}: is not listed in {SUMS}" for name in extra] + [f"{name}: is listed in {SUMS} but absent" for name in absent]))
    for name, expected in listed.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise Refused(f"{name}: is not a regular file")
        found = digest(path)
        if found != expected:
            raise Refused(f"{name}: expected sha256 {expected}, found {found}")
    return hashlib.sha256(content).hexdigest()


def _document(folder: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{name}: is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refused(f"{name}: is not a JSON object")
    return document


def _check_contract(model: str, described: Mapping[str, Any]) -> None:
    def same(what: str, expected: Any, found: Any) -> None:
        if found != expected:
            raise Refused(f"{CONTRACT}: {what}: expected {expected!r}, found {found!r}")

    same("model", model, described.get("model"))
    trained = described.get("versions") or {}
    for package, here in versions().items():
        same(f"version of {package}", here, trained.get(package))
    same("features and their order", list(contract.features(model).FEATURES), described.get("features"))
    shifts = described.get("intervals")
    if shifts is not None and (wrong := intervals.problem(shifts)) is not None:
        raise Refused(f"{CONTRACT}: intervals: {wrong}")
    same("input fields and their order", list(contract.schema(model).Input.model_fields), described.get("inputs"))
