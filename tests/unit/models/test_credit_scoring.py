"""Home Credit's published table, and the forest's matrix."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bentos.contract import BadData
from bentos.credit_scoring import data, features, train
from bentos.credit_scoring.features import FEATURES, MISSING


def published(folder: Path) -> Path:
    """Synthetic applications written as `application_train.csv`."""
    frame = data.synthetic(60, 5, 0.0).rename(columns={ours: theirs for theirs, ours in data.COLUMNS.items()})
    for name in [name for name in frame if str(name).startswith("DAYS_")]:
        frame[name] = (-frame[name] * 365.25).round()
    frame["DAYS_EMPLOYED"] = frame["DAYS_EMPLOYED"].fillna(data.NOT_EMPLOYED)
    frame.insert(0, "SK_ID_CURR", range(100_002, 100_062))
    path = folder / "application_train.csv"
    frame.to_csv(path, index=False)
    return path


def test_days_become_years_and_the_marker_of_no_job_becomes_missing(tmp_path: Path) -> None:
    frame, expected = data.files([published(tmp_path)]), data.synthetic(60, 5, 0.0)
    assert list(frame.index[:2]) == [2, 3]
    assert list(frame.columns) == list(expected.columns)
    assert expected["employed_years"].isna().any()
    assert frame["employed_years"].isna().tolist() == expected["employed_years"].isna().tolist()
    for name in ("age_years", "employed_years", "id_document_years"):
        assert np.nanmax(np.abs(frame[name].to_numpy() - expected[name].to_numpy())) < 0.002
    assert frame["own_car_age_years"].isna().tolist() == expected["own_car_age_years"].isna().tolist()
    assert frame[train.TARGET].tolist() == expected[train.TARGET].tolist()


def test_other_tables_beside_it_are_passed_over(tmp_path: Path) -> None:
    path = published(tmp_path)
    unlabelled = tmp_path / "application_test.csv"
    pd.read_csv(path).drop(columns="TARGET").to_csv(unlabelled, index=False)
    assert len(data.files([unlabelled, path])) == 60
    with pytest.raises(BadData, match=r"^TARGET: column is missing in application_test.csv$"):
        data.files([unlabelled])


def test_every_wrong_value_is_listed(tmp_path: Path) -> None:
    path = published(tmp_path)
    table = pd.read_csv(path, dtype=str)
    table.loc[0, "AMT_CREDIT"], table.loc[3, "TARGET"] = "much", "2"
    table.to_csv(path, index=False)
    with pytest.raises(BadData) as bad:
        data.files([path])
    assert [str(problem) for problem in bad.value.problems] == ["TARGET: '2' is none of 0, 1 in 1 row (5)", "AMT_CREDIT: not a number: 'much' in 1 row (2)"]


def test_missing_values_lie_below_every_range() -> None:
    frame = data.synthetic(4, 5, 0.0)
    optional = ["annuity", "goods_price", "employed_years", "phone_change_years", "own_car_age_years", "ext_source_1", "ext_source_2", "ext_source_3"]
    frame[optional] = np.nan
    row = dict(zip(FEATURES, features.matrix(train.examples(frame).columns)[0], strict=True))
    assert {name for name, value in row.items() if value == MISSING} == {
        *optional,
        "annuity_per_income",
        "payments",
        "goods_per_credit",
        "employed_share_of_age",
        "ext_sources_mean",
        "ext_sources_min",
        "ext_sources_max",
    }


def test_scores_are_summed_up_over_those_that_are_known() -> None:
    frame = data.synthetic(2, 5, 0.0)
    frame[["ext_source_1", "ext_source_2", "ext_source_3"]] = [[np.nan, 0.25, 0.75], [0.5, np.nan, np.nan]]
    assert features.matrix(train.examples(frame).columns)[:, -3:].tolist() == [[0.5, 0.25, 0.75], [0.5, 0.5, 0.5]]


def test_impossible_applications_are_found() -> None:
    frame = data.synthetic(20, 1, 0.0)
    frame.loc[3, "annuity"] = frame.loc[3, "credit_amount"] * 2
    assert [str(problem) for problem in train.problems(frame)] == ["annuity: must not be above credit_amount in 1 row (3)"]


def test_forest_ranks_and_stays_calibrated_on_rows_it_has_not_seen() -> None:
    seen, unseen = (train.examples(data.synthetic(6000, seed, 0.0)) for seed in (1, 2))
    assert 0.06 < seen.target.mean() < 0.10
    forest = train.estimator(0).fit(features.matrix(seen.columns), seen.target)
    probability = forest.predict_proba(features.matrix(unseen.columns))[:, 1]
    assert roc_auc_score(unseen.target, probability) > 0.75
    assert abs(probability.mean() - unseen.target.mean()) < 0.015
