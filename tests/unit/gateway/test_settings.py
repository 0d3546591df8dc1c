import pytest
from pydantic import ValidationError

from services.gateway.settings import Settings

LONG = "x" * 40


def test_unsafe_settings_are_refused_outside_local_mode() -> None:
    given = {"database_url": "postgresql://h/d", "control_token": LONG, "jwt_secret": LONG}
    assert Settings.model_validate(given | {"environment": "production"}).jwt_secret.get_secret_value() == LONG
    for name in ("jwt_secret", "control_token"):
        for weak in ("", "x" * 31):
            with pytest.raises(ValidationError, match=f"GATEWAY_{name.upper()} must have at least 32 characters"):
                Settings.model_validate(given | {"environment": "production", name: weak})


def test_local_mode_makes_its_own_secret_and_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://user:hidden@h/d")
    monkeypatch.setenv("GATEWAY_RUNNERS", '{"a_b": "http://here:1"}')
    one, two = Settings(), Settings()
    assert len(one.jwt_secret.get_secret_value()) >= 32
    assert one.jwt_secret != two.jwt_secret
    assert "hidden" not in repr(one)
    assert (one.runner("a_b"), one.runner("c_d")) == (["http://here:1"], ["http://runner-c-d:3000"])


@pytest.mark.parametrize(
    "wrong",
    [{"rate_limit": "often"}, {"bootstrap_password": "short"}, {"pipeline_key": "x" * 60}, {"pipeline_key": "my_pipeline_short"}, {"unknown": 1}],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"database_url": "postgresql://h/d"} | wrong)
