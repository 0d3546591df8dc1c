"""Where the applications' frames come from: Home Credit's published table, or the documented relation."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bentos import tabular
from bentos.contract import BadData
from bentos.credit_scoring.schema import Record
from bentos.credit_scoring.synthetic import synthetic
from bentos.credit_scoring.train import TARGET

__all__ = ["files", "synthetic"]

COLUMNS = {
    "NAME_CONTRACT_TYPE": "contract_type",
    "AMT_CREDIT": "credit_amount",
    "AMT_ANNUITY": "annuity",
    "AMT_GOODS_PRICE": "goods_price",
    "AMT_INCOME_TOTAL": "income_total",
    "NAME_INCOME_TYPE": "income_type",
    "NAME_EDUCATION_TYPE": "education",
    "DAYS_BIRTH": "age_years",
    "DAYS_EMPLOYED": "employed_years",
    "DAYS_ID_PUBLISH": "id_document_years",
    "DAYS_LAST_PHONE_CHANGE": "phone_change_years",
    "OWN_CAR_AGE": "own_car_age_years",
    "REGION_RATING_CLIENT_W_CITY": "region_rating",
    "EXT_SOURCE_1": "ext_source_1",
    "EXT_SOURCE_2": "ext_source_2",
    "EXT_SOURCE_3": "ext_source_3",
    "TARGET": TARGET,
}
NOT_EMPLOYED = 365243
"""Home Credit's DAYS_EMPLOYED of clients without a job: a thousand years ahead."""


def files(paths: Sequence[Path]) -> pd.DataFrame:
    """`application_train.csv` (or .gz), whatever its name; other files beside it, which lack some of its columns, are passed over."""
    found = tabular.find(paths, {"application_train": list(COLUMNS)})
    if not found:
        raise tabular.nearest(paths, [list(COLUMNS)])
    frame = tabular.read(found["application_train"], list(COLUMNS))
    problems = tabular.convert(frame, {"TARGET": {"0": 0, "1": 1}}, [name for name in COLUMNS if not name.startswith(("NAME_", "TARGET"))])
    if problems:
        raise BadData(problems)
    frame["DAYS_EMPLOYED"] = frame["DAYS_EMPLOYED"].mask(frame["DAYS_EMPLOYED"] == NOT_EMPLOYED)
    for name in [name for name in COLUMNS if name.startswith("DAYS_")]:
        frame[name] = (0 - frame[name]) / 365.25
    return frame.rename(columns=COLUMNS)[[*Record.model_fields, TARGET]]
