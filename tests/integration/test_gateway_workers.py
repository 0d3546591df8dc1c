"""Several processes on one port: limits, metrics and revocations hold across them, and neither a crash nor a stop loses what is not its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, find_free_port
from tests.gateway_process import EXAMPLE, MODEL, GatewayProcess, Load, gateway_process, until


async def predictions(gateway: GatewayProcess, number: int, headers: dict[str, str] | None = None) -> list[int]:
    """Each on a connection of its own."""
    answers = [gateway.call("POST", f"/predict/{MODEL}", json=EXAMPLE, headers=headers or gateway.headers) for _ in range(number)]
    return [status for status, _ in await asyncio.gather(*answers)]


async def stored(gateway: GatewayProcess) -> float:
    """In the database, or on the way there where a commit took too long."""
    return sum([await gateway.total("modelyard_audit_rows_total", f'outcome="{outcome}"') for outcome in ("stored", "spooled")])


async def test_limits_and_metrics_are_exact_over_all_workers(database_url: str, tmp_path: Path) -> None:
    async with gateway_process(database_url, tmp_path, rate_limit="300/hour", login_limit="7/hour") as gateway:
        statuses = [status for _ in range(4) for status in await predictions(gateway, 100)]
        assert (statuses.count(200), statuses.count(429)) == (300, 100)
        tries = [gateway.call("POST", "/auth/login", json={"username": "nobody", "password": "wrong"}) for _ in range(20)]
        logins = [status for status, _ in await asyncio.gather(*tries)]
        assert (logins.count(401), logins.count(429)) == (7, 13)

        route = 'route="/predict/{model}"'
        assert await gateway.total("modelyard_gateway_requests_total", route, 'status="200"') == 300
        assert await gateway.total("modelyard_gateway_requests_total", route, 'status="429"') == 100
        assert await gateway.total("modelyard_gateway_request_seconds_count", route) == 400
        assert await gateway.total("modelyard_predictions_total") == 300
        assert await stored(gateway) == 300
        assert await gateway.total("modelyard_rate_limited_total", 'limit="user"') == 100
        assert await gateway.total("modelyard_audit_waiting") == 0

        parent = psutil.Process(gateway.process.pid)
        assert parent.memory_info().rss < 60e6
        assert len(gateway.workers()) == 2
        # The parent speaks for all of them.
        assert await gateway.total("process_resident_memory_bytes") > sum(worker.memory_info().rss for worker in gateway.workers())
        assert await gateway.total("modelyard_build_info") == 1
        assert await gateway.total("modelyard_spool_limit_bytes") == 256 * 1024 * 1024
        assert 0 < await gateway.total("modelyard_disk_free_bytes", 'folder="spool"') <= await gateway.total("modelyard_disk_size_bytes", 'folder="spool"')


async def test_a_killed_worker_is_replaced_and_a_killed_parent_leaves_none(database_url: str, tmp_path: Path) -> None:
    async with gateway_process(database_url, tmp_path) as gateway:
        load = Load(gateway)

        def callers_of(worker: psutil.Process) -> int:
            return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == gateway.port for one in worker.net_connections("tcp"))

        async with load.running(8):
            await until(lambda: load.statuses[200] > 100)
            other, victim = sorted(gateway.workers(), key=callers_of)
            its_callers = callers_of(victim)
            victim.send_signal(signal.SIGKILL)
            await until(lambda: {worker.pid for worker in gateway.workers()} - {victim.pid, other.pid})
            answered = load.statuses[200]
            await until(lambda: load.statuses[200] > answered + 100)
        assert len(load.broken) <= its_callers, "only what the killed worker had under way is lost"
        assert set(load.statuses) == {200}
        assert load.refused == 0
        replacement = next(worker for worker in gateway.workers() if worker.pid != other.pid)
        await until(lambda: gateway.logged("Application startup complete") == 3)
        other.send_signal(signal.SIGKILL)
        await until(lambda: not other.is_running())
        assert await predictions(gateway, 10) == [200] * 10
        assert replacement.is_running()
        # What a dead worker has counted stays, and whoever takes its place counts on: only what was not yet answered is missing.
        assert await stored(gateway) >= load.statuses[200] + 10
        workers = gateway.workers()
        gateway.process.send_signal(signal.SIGKILL)
        await until(lambda: not any(worker.is_running() for worker in workers), 10)


async def test_a_stop_under_load_fails_no_request(database_url: str, tmp_path: Path) -> None:
    async with gateway_process(database_url, tmp_path) as gateway:
        gateway.runner.delay = 0.01
        workers = gateway.workers()
        load = Load(gateway)
        async with load.running(24):
            await until(lambda: load.statuses[200] > 200)
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.process.wait() == -signal.SIGTERM
        assert load.broken == []
        assert set(load.statuses) == {200}
        assert load.refused > 0
        assert not any(worker.is_running() for worker in workers)


async def test_what_is_revoked_is_refused_by_every_worker_within_a_second(database_url: str, tmp_path: Path) -> None:
    async with gateway_process(database_url, tmp_path) as gateway:

        async def user(name: str, role: str) -> dict[str, str]:
            account = {"username": name, "password": "a password of that user", "role": role}
            status, document = await gateway.call("POST", "/auth/signup", json=account)
            assert status == 201, document
            return await gateway.log_in(name, account["password"])

        async def all_say(status: int, headers: dict[str, str], path: str = f"/predict/{MODEL}") -> None:
            answers = [gateway.call("POST", path, json=EXAMPLE if path.count("/") == 2 else {"rows": [EXAMPLE]}, headers=headers) for _ in range(24)]
            assert {found for found, _ in await asyncio.gather(*answers)} == {status}

        ann, bob, eve = await user("ann", "viewer"), await user("bob", "analyst"), await user("eve", "viewer")
        _, made = await gateway.call("POST", "/auth/api-keys", json={"name": "mine"}, headers=eve)
        key = {"X-API-Key": made["key"]}
        for headers in (ann, bob, eve, key):
            await all_say(200, headers)

        await gateway.call("POST", "/auth/logout", headers=ann)
        await gateway.call("PUT", "/auth/users/bob/role", json={"role": "viewer"})
        status, _ = await gateway.call("DELETE", f"/auth/api-keys/{made['id']}", headers=eve)
        assert status == 204
        await asyncio.sleep(1)
        await all_say(401, ann)
        await all_say(403, bob, f"/predict/{MODEL}/batch")
        await all_say(401, key)
        await all_say(200, eve)
        await gateway.call("DELETE", "/auth/users/eve")
        await asyncio.sleep(1)
        await all_say(401, eve)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_and_a_wrong_setting_are_said_once(workers: str, database_url: str) -> None:
    environment = os.environ | {"GATEWAY_WORKERS": workers, "GATEWAY_DATABASE_URL": database_url, "GATEWAY_METRICS_PORT": "0", "GATEWAY_HOST": "127.0.0.1"}

    def start(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.gateway"]
        return subprocess.run(command, check=False, cwd=ROOT, env=environment | more, capture_output=True, text=True, timeout=30)

    wrong = start(GATEWAY_RATE_LIMIT="often")
    assert (wrong.returncode, wrong.stderr.count("GATEWAY_RATE_LIMIT")) == (2, 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = start(GATEWAY_PORT=str(taken.getsockname()[1]))
    assert (refused.returncode, refused.stderr.count("cannot listen")) == (3, 1)


async def test_a_gateway_that_cannot_start_ends(database_url: str, tmp_path: Path) -> None:
    """Workers that fail before they ever answered are not started again without end."""
    program = tmp_path / "failing.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\nfrom services.kit import workers\n"
        "if workers.Worker.of_environment(): sys.exit(3)\n"
        f"workers.supervise([sys.executable, __file__], workers.listen('127.0.0.1', {find_free_port()}), Path('.'), workers=2, grace_seconds=1)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, str(program), cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode == 3
    assert b"Traceback" not in said
