"""Drift and live performance on the page Monitoring."""

from tests.frontend.conftest import Open
from tests.frontend.fake_gateway import FakeGateway
from tests.frontend.test_pages import button, said


def test_the_newest_check_and_those_before(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(3)
    test = page("monitoring")
    assert not test.exception, test.exception
    assert any("income drifted" in one.value for one in test.warning)
    chosen = next(one for one in test.selectbox if one.label == "Distribution of")
    assert chosen.options == ["income", "score", "grade"], "what drifted comes first, what has too few rows is not there"
    assert "PSI 0.41 is over 0.2" in said(test)
    assert "after the correction for all tests" in said(test)
    chosen.set_value("grade").run()
    assert not test.exception
    history = next(one.value for one in test.dataframe if "alarm" in one.value)
    assert history["alarm"].tolist() == [True, False]


def test_a_check_is_started_and_its_result_shown(page: Open, gateway: FakeGateway) -> None:
    test = page("monitoring")
    button(test, "Check now")
    assert not test.exception
    assert ("POST", "/models/loans/drift") in gateway.asked
    test.run()
    assert any("no drift in 900 rows" in one.value for one in test.info)


def test_evidentlys_page_is_made_and_fetched(page: Open, gateway: FakeGateway) -> None:
    test = page("monitoring")
    button(test, "Evidently's page")
    assert not test.exception
    assert ("POST", "/models/loans/drift/evidently") in gateway.asked
    button(test, "Fetch the page")
    assert [one.label for one in test.get("download_button")] == ["Download the page"]


def test_live_figures_stand_beside_the_hold_out(page: Open, gateway: FakeGateway) -> None:
    test = page("monitoring")
    figures = next(one.value for one in test.dataframe if "holdout" in one.value)
    assert figures.to_dict("records") == [{"metric": "ROC AUC", "live": "0.71", "interval": "0.66 to 0.76", "holdout": "0.77"}]
    segments = next(one.value for one in test.dataframe if "segment" in one.value)
    assert segments["value"].tolist() == ["0.71", "too few"]
    assert "603 outcomes of 809 answers" in said(test)
    assert "20 missed" in said(test)


def test_without_checks_and_outcomes_it_is_said_what_to_do(page: Open, gateway: FakeGateway) -> None:
    test = page("monitoring")
    test.session_state["monitoring model"] = "prices"
    test.run()
    assert not test.exception
    words = said(test)
    assert "Drift has never been checked" in words
    assert "No outcome has been measured" in words


def test_reports_that_are_not_there_or_away_are_told(page: Open, gateway: FakeGateway) -> None:
    gateway.missing = {"/models/loans/drift", "/models/loans/performance"}
    test = page("monitoring")
    assert not test.exception
    assert "has no drift reports" in said(test)
    gateway.missing, gateway.away = set(), {"/models/loans/drift": 503}
    test.run()
    assert any("does not work at the moment" in one.value for one in test.warning)
