import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import Settings, read


class Sample(Settings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

    port: int = 1
    """A number."""
    token: SecretStr = SecretStr("")
    """A secret."""


def test_wrong_settings_end_the_process_with_a_line_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "many")
    monkeypatch.setenv("SAMPLE_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as ended:
        read("sample", Sample)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert any(line.startswith("sample cannot start: SAMPLE_PORT: ") for line in lines)


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_short_secrets_are_refused_outside_local_mode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: str) -> None:
    monkeypatch.setenv("SAMPLE_ENVIRONMENT", environment)
    monkeypatch.setenv("SAMPLE_TOKEN", "too-short-to-be-safe")
    with pytest.raises(SystemExit):
        read("sample", Sample)
    said = capsys.readouterr().err
    assert "SAMPLE_TOKEN must have at least 32 characters" in said
    assert "too-short" not in said


def test_what_is_not_said_to_be_local_is_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMPLE_ENVIRONMENT")
    with pytest.raises(SystemExit):
        read("sample", Sample)


def test_local_mode_may_go_without() -> None:
    assert read("sample", Sample).environment == "local"
