"""What the channels send, and what they never say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.control.notifications import configuration
from services.control.notifications.channels import discord, webhook
from services.control.notifications.channels.mail import compose
from services.control.notifications.channels.sending import Hidden
from services.control.notifications.configuration import Email
from services.control.notifications.schemas import Message
from services.control.notifications.service import FIRST_PAUSE, LONGEST_PAUSE, backoff
from tests.receivers import broken


def message(title: str = "t", words: str = "w", fields: dict[str, str] | None = None) -> Message:
    at = datetime(2026, 11, 22, 14, 3, tzinfo=UTC)
    return Message(delivery="d" * 32, event="promoted", level="info", model="some_model", title=title, words=words, fields=fields or {}, at=at)


@given(st.text(max_size=400), st.text(max_size=6000), st.dictionaries(st.text(max_size=300), st.text(max_size=1500), max_size=30))
def test_an_embed_keeps_discords_limits(title: str, words: str, fields: dict[str, str]) -> None:
    sent = discord.payload(message(title, words, fields))
    assert broken(sent) is None
    assert sent["embeds"][0]["footer"]["text"].endswith("d" * 32)


def test_the_longest_texts_are_cut_where_they_are_too_long() -> None:
    (embed,) = discord.payload(message("😀" * 200, "_" * 5000, {f"n{i}": "v" * 2000 for i in range(30)}))["embeds"]
    assert discord.length(embed["title"]) <= 256
    assert embed["title"].endswith("😀…")
    assert embed["description"].endswith("\\_…")
    assert len(embed["fields"]) == 2


def test_nobody_is_pinged_and_nothing_is_set_in_italics() -> None:
    sent = discord.payload(message("credit_scoring", "@everyone [a link](https://x)"))
    assert sent["allowed_mentions"] == {"parse": []}
    assert sent["embeds"][0]["title"] == r"credit\_scoring"
    assert sent["embeds"][0]["description"] == r"\@everyone \[a link\]\(https://x\)"


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, the libraries' tests."""
    key = webhook.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert webhook.key_of("plain text") == b"plain text"


def test_a_letter_has_the_deliverys_id_and_no_second_line_in_its_subject() -> None:
    mail = compose(Email(kind="email", host="h", sender="a@b.example", to=("c@d.example",)), message("one\r\nBcc: e@f.example", "words", {"actor": "ada"}))
    assert mail["Message-ID"] == f"<{'d' * 32}@b.example>"
    assert mail["Subject"] == "[info] one Bcc: e@f.example"
    assert mail["Bcc"] is None
    assert mail.get_content().splitlines()[:4] == ["words", "", "model: some_model", "actor: ada"]


def test_words_of_others_lose_the_secrets() -> None:
    hide = Hidden(["https://discord.example/api/webhooks/123456/AbC-dEf", "hunter22", "ab"])
    assert hide("cannot reach https://discord.example/api/webhooks/123456/AbC-dEf now") == "cannot reach *** now"
    assert "AbC-dEf" not in hide("POST /api/webhooks/123456/AbC-dEf?wait=true failed, token AbC-dEf")
    assert hide("the host discord.example is away; password hunter22 ab\nc") == "the host discord.example is away; password *** ab c"


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"kind": "discord"}, "channels.a.discord.url_env: Field required"),
        ({"kind": "pigeon"}, "channels.a: Input tag 'pigeon'"),
        ({"kind": "webhook", "secret_env": "S"}, "give one of url, url_env"),
        ({"kind": "webhook", "url": "ftp://x", "secret_env": "S"}, "should match pattern"),
        ({"kind": "discord", "url_env": "MISSING"}, "names MISSING, which the environment does not have"),
        ({"kind": "discord", "url_env": "S", "events": ["promoted", "lunch"]}, "channels.a.discord.events"),
        ({"kind": "email", "host": "h", "sender": "a@b", "to": []}, "at least 1 item"),
        ({"kind": "email", "host": "h", "sender": "a@b", "to": ["c@d"], "username_env": "S"}, "belong together"),
        ({"kind": "email", "host": "h", "sender": "a@b", "to": ["c@d"], "username_env": "S", "password_env": "S", "security": "none"}, "not sent without"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, channel: dict[str, object], words: str) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(yaml.safe_dump({"channels": {"a": channel}}))
    with pytest.raises(ValueError, match=r"channels\.yaml") as wrong:
        configuration.load(file, {"S": "hunter2"})
    assert words in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


def test_a_file_that_is_not_there_or_no_yaml(tmp_path: Path) -> None:
    assert configuration.load(None).channels == {}
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        configuration.load(tmp_path / "nothing.yaml")
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="is no YAML"):
        configuration.load(tmp_path / "x.yaml")


def test_a_channel_wants_what_it_names() -> None:
    one = Email(kind="email", host="h", sender="a@b", to=("c@d",), events=("drift", "promoted"), models=("m",), least="warning")
    wanted = [(event, model, level) for event in ("drift", "storm") for model in ("m", "n") for level in ("info", "error") if one.wants(event, model, level)]
    assert wanted == [("drift", "m", "error")]


def test_pauses_double_up_to_an_hour() -> None:
    for attempts in range(40):
        whole = min(FIRST_PAUSE * 2**attempts, LONGEST_PAUSE)
        assert 0.75 * whole <= backoff(attempts) <= 1.25 * whole
