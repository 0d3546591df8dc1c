import numpy as np

from services.pipeline import metrics, report


def test_a_coin_is_called_a_coin() -> None:
    random = np.random.default_rng(1)
    baseline = np.full(400, 100.0)
    truth, forecast = baseline + random.normal(size=400), baseline + random.normal(size=400) / 100
    rows = {row.metric: row for row in report.table(metrics.evaluate("regression", truth, forecast, baseline))}
    assert rows["right direction"].remark == "interval contains 0.5: no better than a coin"
    assert rows["RMSE / naive RMSE"].remark == "interval contains 1: no different from the naive forecast"
    assert rows["RMSE / naive RMSE"].baseline == "1.0000"
    assert rows["right direction"].baseline == ""


def test_words_follow_the_interval() -> None:
    assert report.remark("direction", {"value": 0.53, "low": 0.51, "high": 0.55}) == ""
    assert report.remark("direction", {"value": 0.4, "low": 0.35, "high": 0.45}) == "interval lies on the wrong side of 0.5"
    assert report.remark("rmse_ratio", {"value": 0.9, "low": 0.85, "high": 0.95}) == ""
    assert report.remark("rmse_ratio", {"value": 1.2, "low": 1.1, "high": 1.3}) == "interval lies on the wrong side of 1"
    assert report.remark("roc_auc", {"value": None, "low": None, "high": None}) == ""


def test_groups_follow_all_rows_and_remarks_name_them() -> None:
    truth = np.tile([0.0, 1.0], 100)
    groups = np.array(["a"] * 100 + ["b"] * 100, dtype=object)
    probability = np.where(groups == "a", truth * 0.8 + 0.1, 0.5)
    evaluation = metrics.evaluate("classification", truth, probability, np.full(200, 0.5), groups=groups)
    table = report.table(evaluation)
    assert [row.group for row in table if row.metric == "ROC AUC"] == ["", "a", "b"]
    assert report.remarks(evaluation) == ["b: ROC AUC 0.5000 (0.5000 to 0.5000): interval contains 0.5: no better than chance"]
