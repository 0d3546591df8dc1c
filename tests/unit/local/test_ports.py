import socket
from pathlib import Path

import pytest

from services.local import ports, state
from services.local.paths import Home
from services.local.state import State
from tests.conftest import find_free_port


def test_a_taken_port_is_passed_over(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        assert not ports.is_free(free_port)
        assert ports.choose(None, free_port, ()) > free_port
    assert ports.choose(None, free_port, ()) == free_port


def test_a_port_taken_on_all_addresses_is_not_free(free_port: int) -> None:
    with socket.create_server(("0.0.0.0", free_port)):  # noqa: S104 - that is the point
        assert not ports.is_free(free_port)


def test_the_remembered_port_comes_first_while_it_is_free(free_port: int) -> None:
    other = find_free_port()
    assert ports.choose(other, free_port, ()) == other
    assert ports.choose(other, free_port, {other}) == free_port


def test_state_keeps_ports_apart_and_remembers_them(tmp_path: Path, free_port: int) -> None:
    home = Home(tmp_path)
    made = State()
    first, second = made.port("gateway", free_port), made.port("control", free_port)
    assert first != second
    secret = made.secret("jwt")
    state.save(home, made)
    assert home.state.stat().st_mode & 0o777 == 0o600
    again = state.load(home)
    assert (again.port("gateway", 1), again.port("control", 1), again.secret("jwt")) == (first, second, secret)


@pytest.mark.parametrize("content", ["{", "[]", '{"unknown": 1}'])
def test_a_damaged_state_is_named(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    home.state.write_text(content)
    with pytest.raises(ValueError, match=r"state\.json is damaged"):
        state.load(home)
