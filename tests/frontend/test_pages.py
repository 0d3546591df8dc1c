"""Every page for every role: there, or not there, and never a traceback."""

import pytest
from streamlit.testing.v1 import AppTest

from frontend import navigation
from tests.frontend.conftest import Open
from tests.frontend.fake_gateway import ROLES, FakeGateway

ALL = [entry.name for entry in navigation.PAGES]


def said(test: AppTest) -> str:
    """All words of the page."""
    kinds = (test.markdown, test.caption, test.error, test.warning, test.info, test.success, test.title, test.subheader)
    return "\n".join(str(one.value) for kind in kinds for one in kind)


def button(test: AppTest, label: str) -> None:
    next(one for one in test.button if one.label == label).click().run()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ALL)
def test_every_page_for_every_role(page: Open, gateway: FakeGateway, name: str, role: str) -> None:
    gateway.seed(6)
    if not navigation.may(role, navigation.entry(name).role):
        test = page("home", role)
        assert name not in [entry.name for entry in navigation.visible(role)]
        # Streamlit itself knows no such page then, by whatever address; tests/e2e tries that in a browser.
        with pytest.raises(ValueError, match="Could not find a navigation page"):
            test.switch_page(f"app_pages/{name}.py")
        return
    test = page(name, role)
    assert not test.exception, test.exception
    assert [one.value for one in test.title] == [navigation.entry(name).title]
    assert not test.error, [one.value for one in test.error]


@pytest.mark.parametrize("name", ALL)
def test_gateway_that_is_away_gets_a_notice_and_a_retry(page: Open, gateway: FakeGateway, name: str) -> None:
    test = page("home", "admin")
    gateway.away = {"/": 503}
    if name != "home":
        test.switch_page(f"app_pages/{name}.py")
    test.run()
    assert not test.exception
    assert [one.value for one in test.title] == [navigation.entry(name).title]
    if name != "create_user":  # asks nothing before somebody fills it in
        assert any("does not work at the moment" in one.value for one in test.warning)
        assert any(one.label == "Try again" for one in test.button)


@pytest.mark.parametrize("name", ALL)
def test_endpoints_that_are_not_there_are_told(page: Open, gateway: FakeGateway, name: str) -> None:
    gateway.missing = {"/workflows", "/crypto", "/predictions", "/models/loans/versions/", "/prediction/"}
    gateway.seed(2)
    test = page(name, "admin")
    assert not test.exception
    assert not test.error
    if name in ("crypto", "training"):
        assert any("not offered" in one.value for one in test.info)


@pytest.mark.parametrize("name", ALL)
def test_session_that_is_over_is_told_kindly(page: Open, gateway: FakeGateway, name: str) -> None:
    test = page(name, "admin")
    gateway.tokens.clear()
    gateway.refresh_tokens.clear()
    test.session_state["role asked at"] = -60.0
    test.run()
    assert not test.exception
    assert any("session has ended" in one.value for one in test.warning)


def test_nobody_gets_a_page_without_a_session(gateway: FakeGateway) -> None:
    from tests.frontend.conftest import APP

    test = AppTest.from_file(str(APP), default_timeout=20).run()
    assert not test.title
    assert any("not logged in" in one.value for one in test.warning)


def test_a_role_that_changes_takes_pages_away(page: Open, gateway: FakeGateway) -> None:
    test = page("administration", "admin")
    gateway.users["admin"]["role"] = "viewer"
    test.session_state["role asked at"] = -60.0
    test.run()
    assert "Administration" not in [one.value for one in test.title]


def test_predict_explain_and_what_if(page: Open, gateway: FakeGateway) -> None:
    test = page("predict", "analyst")
    button(test, "Fill in an example")
    button(test, "Predict")
    words = said(test)
    assert "Refused" in words
    assert gateway.predictions[-1]["input"]["income"] == 42000.0
    assert "The bars lead from" in words
    asked = len(gateway.predictions)
    next(one for one in test.slider if "Income" in one.label).set_value(90_000.0).run()
    assert len(gateway.predictions) == asked, "trying is not recorded"
    assert any(one.label == "Decision" and one.value == "granted" for one in test.metric)
    assert "curl -s" in test.code[0].value


def test_what_is_missing_in_a_form_is_told_by_its_title(page: Open, gateway: FakeGateway) -> None:
    test = page("predict", "viewer")
    button(test, "Predict")
    assert "**Income** is needed" in test.error[0].value
    assert not gateway.predictions


def test_runner_that_is_down_is_told_beside_the_form(page: Open, gateway: FakeGateway) -> None:
    test = page("predict", "viewer")
    button(test, "Fill in an example")
    gateway.away = {"/predict/loans": 503}
    button(test, "Predict")
    assert not test.exception
    assert "The runner of this model cannot be reached" in said(test)
    assert test.text_input[0].value == "ACME", "what was typed stays"


def test_viewer_sees_the_own_history_only(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(8)
    assert len(page("history", "viewer").dataframe[0].value) == 4
    assert len(page("history", "analyst").dataframe[0].value) == 8


def test_history_turns_pages_and_filters(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(60)
    test = page("history")
    assert len(test.dataframe[0].value) == 50
    button(test, "Older")
    assert len(test.dataframe[0].value) == 10
    button(test, "Newer")
    next(one for one in test.text_input if one.label == "User").set_value("viewer").run()
    assert set(test.dataframe[0].value["user"]) == {"viewer"}


def test_outcome_is_recorded_and_corrected(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(1)
    test = page("history", "analyst", prediction=gateway.predictions[0]["prediction_id"])
    next(one for one in test.radio if one.label == "Outcome").set_value(1)
    button(test, "Record outcome")
    assert gateway.predictions[0]["outcome"]["value"] == 1.0
    assert "yes: default" in said(test)
    assert any(one.label == "Correct it" for one in test.button)


def test_policy_shows_what_a_threshold_does_and_is_changed_with_a_reason(page: Open, gateway: FakeGateway) -> None:
    test = page("models", "engineer", tab="Policy")
    cost = {one.label: one.value for one in test.metric}["Cost per case"]
    test.slider[0].set_value(60.0).run()
    assert {one.label: one.value for one in test.metric}["Cost per case"] != cost
    next(one for one in test.text_input if one.label == "Reason" and "policy changes" in one.placeholder).set_value("cheaper now")
    button(test, next(one.label for one in test.button if one.label.startswith("Use a threshold")))
    assert gateway.policy["version"] == 2
    assert gateway.policy["threshold"] == pytest.approx(0.6)


def test_curves_and_ledger_are_drawn_when_their_tab_is_opened(page: Open, gateway: FakeGateway) -> None:
    def asked(path: str) -> bool:
        return any(path in one for _, one in gateway.asked)

    page("models", "viewer")
    assert asked("/versions")
    assert not asked("/ledger")
    assert not asked("/versions/1")
    assert "**ROC curve**" in said(page("models", "viewer", part="Curves"))
    assert asked("/versions/1")
    assert "first training" in set(page("models", "viewer", tab="Ledger").dataframe[-1].value["reason"])


def test_monitoring_says_how_many_calls_had_no_answer(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(3)
    test = page("monitoring", "analyst")
    figures = {one.label: one.value for one in test.metric}
    assert (figures["Calls to the runner"], figures["Without an answer"], figures["Rows answered"]) == ("100", "2.0 %", "196")
    assert any("deadline" in str(one.value) for one in test.dataframe)


def test_rolling_back_needs_a_reason_and_an_engineer(page: Open, gateway: FakeGateway) -> None:
    gateway.champions["loans"] = "2"
    assert not [one for one in page("models", "analyst").button if one.label == "Roll back now"]
    test = page("models", "engineer")
    button(test, "Roll back now")
    assert "**Reason**" in test.error[0].value
    next(one for one in test.text_input if "what is wrong" in one.placeholder).set_value("worse on Mondays")
    button(test, "Roll back now")
    assert gateway.champions["loans"] == "1"


def test_the_ledger_says_what_served_then_and_whether_it_is_whole(page: Open, gateway: FakeGateway) -> None:
    test = page("models", "viewer", tab="Ledger")
    table = next(one.value for one in test.dataframe if "verified" in one.value)
    assert table["verified"].tolist() == ["after 0.42 s"]
    assert "as they were written" in said(test)
    assert any(one.value == "ab" * 32 for one in test.code), "the head, to note it"
    button(test, "Look it up")
    assert "Version **1**, policy **1**" in said(test)
    assert "by **admin**: first training" in said(test)
    gateway.checked = gateway.checked | {"ok": False, "broken": [{"id": 7, "rule": "hash", "words": "is not what was written"}]}
    assert "Entry **7**" in said(page("models", "viewer", tab="Ledger"))


def test_an_answer_is_traced_repeated_and_proved(page: Open, gateway: FakeGateway) -> None:
    gateway.seed(1)
    test = page("history", "viewer", prediction=gateway.predictions[0]["prediction_id"], detail="Lineage")
    assert "code `c0ffeec0ffee`" in said(test).lower()
    assert "In service since" in said(test)
    button(test, "Answer it again")
    assert "Bit for bit the same" in said(test)
    gateway.exact = False
    button(test, "Answer it again")
    assert any("score" in one.value["field"].tolist() for one in test.dataframe if "reproduced" in one.value)
    button(test, "Make the proof")
    assert not test.exception
    assert ("GET", f"/predictions/{gateway.predictions[0]['prediction_id']}/proof") in gateway.asked


def test_a_version_is_tried_widened_and_withdrawn_or_promoted(page: Open, gateway: FakeGateway) -> None:
    gateway.champions["loans"] = "2"
    assert "No version is being tried" in said(page("models", "viewer", tab="Trial"))
    assert not [one for one in page("models", "analyst", tab="Trial").button if one.label == "Try it in the shadow"]
    test = page("models", "engineer", tab="Trial")
    button(test, "Try it in the shadow")
    assert any("**Reason**" in one.value for one in test.error)
    next(one for one in test.text_input if one.placeholder == "why it is tried").set_value("newer data")
    button(test, "Try it in the shadow")
    assert gateway.trial == {"version": "1", "percent": 0}
    shown = {one.label: one.value for one in test.metric}
    assert (shown["Tried"], shown["Answers"], shown["Decided otherwise"], shown["Time for a row"]) == ("version 1", "nobody", "5.0 %", "36 µs")
    assert "By the catalogue's rules it may serve" in said(test)
    assert "purpose car, 7.0 %" in " ".join(one.value for one in test.caption)
    why = next(one for one in test.text_input if one.placeholder.startswith("why it is promoted"))
    why.set_value("looks good")
    button(test, "Let it answer these callers")
    assert gateway.trial == {"version": "1", "percent": 10}
    assert {one.label: one.value for one in test.metric}["Answers"] == "10 % of the callers"
    next(one for one in test.text_input if one.placeholder.startswith("why it is promoted")).set_value("looks bad")
    button(test, "Withdraw it")
    assert gateway.trial is None
    gateway.trial = {"version": "1", "percent": 0}
    test = page("models", "engineer", tab="Trial")
    next(one for one in test.text_input if one.placeholder.startswith("why it is promoted")).set_value("better")
    button(test, "Promote it")
    assert gateway.champions["loans"] == "1"
    assert not [one for one in page("models", "viewer", tab="Trial").button if one.label == "Withdraw it"]


def test_training_is_started_watched_and_stopped(page: Open, gateway: FakeGateway) -> None:
    test = page("training", "engineer")
    button(test, "Start")
    assert gateway.runs[0]["status"] == "running"
    assert "train" in said(test)
    button(test, "Stop")
    assert gateway.runs[0]["status"] == "stopped"
    assert "Train a new version" not in next(one for one in page("training", "analyst").selectbox if one.label == "What").options


def test_a_file_is_scored_and_its_parts_are_fetched(page: Open, gateway: FakeGateway) -> None:
    test = page("training", "analyst")
    next(one for one in test.text_input if one.label == "File or table to be scored").set_value("table:applications")
    next(one for one in test.selectbox if one.label == "Record").set_value("rows")
    button(test, "Start")
    assert ("POST", "/prediction/score") in gateway.asked
    assert gateway.runs[0]["parameters"] == {"model": "loans", "input": "table:applications", "audit": "rows"}
    gateway.runs[0] |= {"kind": "score", "status": "succeeded", "result": {"run_id": "r", "audit": "rows", "parts": 3, "rows": 2900, "refused": 7}}
    for part, files in ((2, ["Download Parquet", "Download refused rows"]), (3, ["Download Parquet"])):
        test = page("training", "analyst", run=gateway.runs[0]["id"])
        next(one for one in test.number_input if one.label == "Part").set_value(part).run()
        button(test, "Fetch its answers")
        assert not test.exception
        assert ("GET", f"/models/loans/scored/r/parts/{part - 1}/answers") in gateway.asked
        assert [one.label for one in test.get("download_button")] == files


def test_assets_are_added_by_administrators(page: Open, gateway: FakeGateway) -> None:
    assert not [one for one in page("crypto", "engineer").button if one.label == "Add"]
    test = page("crypto", "admin")
    button(test, "Add")
    assert [one["symbol"] for one in gateway.assets] == ["XBTUSD", "ETHUSD"]
    button(test, "Forecast the next candle")
    assert any(one.label == "Close expected" for one in test.metric)


def test_user_is_created_changed_and_removed(page: Open, gateway: FakeGateway) -> None:
    test = page("create_user", "admin")
    next(one for one in test.text_input if one.label == "User name").set_value("Eva")
    button(test, "Create user")
    assert "**User name**" in test.error[0].value
    next(one for one in test.text_input if one.label == "User name").set_value("eva")
    button(test, "Create user")
    assert gateway.users["eva"]["role"] == "viewer"
    assert len(test.code[0].value) >= 12, "the password that was made is shown"


def test_key_is_shown_once(page: Open, gateway: FakeGateway) -> None:
    test = page("account", "viewer")
    next(one for one in test.text_input if one.label == "What is the key for?").set_value("nightly")
    button(test, "Make a key")
    assert test.code[0].value == "my_0a1b2c3d_once"
    button(test, "I have copied it")
    assert not test.code
    button(test, "Revoke")
    assert not gateway.keys


def test_batch_answers_rows_and_names_bad_ones(page: Open, gateway: FakeGateway) -> None:
    test = page("batch", "analyst")
    table = b"purpose,income,age,score,grade,employer\ncar,42000,41,0.4,2,ACME\ncar,much,41,0.4,2,ACME\nhouse,90000,50,,1,ACME\n"
    test.file_uploader[0].set_value(("loans.csv", table, "text/csv")).run()
    button(test, "Predict all rows")
    assert not test.exception
    metrics = {one.label: one.value for one in test.metric}
    assert (metrics["Answered"], metrics["Not answered"]) == ("2", "1")
    failed = next(one.value for one in test.dataframe if "error" in one.value and "row" in one.value)
    assert failed["row"].tolist() == [2]
    assert "income" in failed["error"][0]


def test_batch_with_wrong_columns_is_not_sent(page: Open, gateway: FakeGateway) -> None:
    test = page("batch", "analyst")
    test.file_uploader[0].set_value(("loans.csv", b"purpose,shoe\ncar,44\n", "text/csv")).run()
    assert any("`income`" in one.value for one in test.error)
    assert any("`shoe`" in one.value for one in test.error)
    assert not [one for one in test.button if one.label == "Predict all rows"]


def test_training_tells_why_models_were_retrained_and_why_not(page: Open, gateway: FakeGateway) -> None:
    test = page("training", "analyst")
    decisions = next(one.value for one in test.dataframe if "decision" in one.value)
    assert decisions["decision"].tolist() == ["✓ submitted", "■ refused: cooldown"]
    assert decisions["times"].tolist() == [1, 37]
    assert "the last retraining began 5 minutes ago" in decisions["why"].tolist()[1]
    gateway.retrainings = []
    test = page("training", "analyst")
    assert "Nothing has asked for a retraining of Loans yet" in said(test)
