import json
from pathlib import Path

from bentos import catalogue
from services.local.paths import Home
from services.local.processes import declare, settings
from services.local.state import State


def test_every_model_of_the_catalogue_has_a_runner_that_the_gateway_knows(tmp_path: Path) -> None:
    chosen = settings(Home(tmp_path), State(), "postgresql://u@h/d", None)
    processes = {process.name: process for process in declare(chosen)}
    runners = json.loads(processes["gateway"].environment["GATEWAY_RUNNERS"])
    assert sorted(runners) == catalogue.names()
    for model, url in runners.items():
        assert processes[f"runner-{model}"].url == url
    assert "postgres" not in processes, "a DATABASE_URL means no server of our own"
    assert len(set(chosen.ports.values())) == len(chosen.ports)


def test_what_a_process_needs_exists_and_no_secret_stands_in_a_command(tmp_path: Path) -> None:
    chosen = settings(Home(tmp_path), State(), "postgresql://u:hidden@h/d", None)
    processes = declare(chosen)
    names = {process.name for process in processes}
    for process in processes:
        assert process.needs | process.after <= names
        assert process.once == (process.probe is None)
        for secret in ("hidden", chosen.jwt_secret, chosen.control_token, chosen.administrator_password):
            assert not any(secret in part for part in process.command)
