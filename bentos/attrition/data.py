"""Where the employees' frames come from: the published files, or the documented relation."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bentos import tabular
from bentos.attrition import french
from bentos.attrition.schema import Record
from bentos.attrition.synthetic import synthetic
from bentos.attrition.train import TARGET
from bentos.contract import BadData, Problem, kinds

__all__ = ["files", "synthetic"]

log = logging.getLogger(__name__)

COLUMNS = [*Record.model_fields, TARGET]
IBM = {"".join(word.capitalize() for word in name.split("_")): name for name in COLUMNS}
"""IBM's column names are ours without the underscores."""


def files(paths: Sequence[Path]) -> pd.DataFrame:
    """IBM's file, or the French three in any order: for the same employees the same frame.

    Where both lie together, IBM's is read alone, so that nobody counts twice. Files of neither form are passed over as long as one form is complete.
    """
    found = tabular.find(paths, {"IBM": list(IBM)} | {form: french.columns(form) for form in french.FORMS})
    if "IBM" in found:
        if len(found) > 1:
            log.info("only %s is read; the French files beside it are left out", found["IBM"].name)
        return _ibm(found["IBM"])[COLUMNS]
    if not found:
        raise tabular.nearest(paths, [list(IBM), *(french.columns(form) for form in french.FORMS)])
    have = ", ".join(path.name for path in found.values())
    missing = [form for form in french.FORMS if form not in found]
    if missing:
        rule = "column is missing: no file beside {have} has the columns of extrait_{form}.csv"
        raise BadData([Problem(name, rule.format(have=have, form=form)) for form in missing for name in french.columns(form)])
    return french.joined(found)[COLUMNS]


def _ibm(path: Path) -> pd.DataFrame:
    frame = tabular.read(path, list(IBM))
    kind = kinds(Record)
    problems = tabular.convert(frame, {"Attrition": {"Yes": 1, "No": 0}}, [theirs for theirs, ours in IBM.items() if kind.get(ours) == "integer"])
    if problems:
        raise BadData(problems)
    return frame.rename(columns=IBM)
