"""Every process of the platform: what it runs, what it is told, when it is ready, what it needs. The commands are those of the cluster."""

import json
import signal
import sys
from dataclasses import dataclass

from bentos import catalogue
from services.local.paths import EVIDENTLY, Home
from services.local.postgres import APPLICATION, Postgres
from services.local.process import Process
from services.local.state import ADMINISTRATOR, State

PREFERRED = {"gateway": 8000, "control": 8001, "mlflow": 5000, "gateway-metrics": 9100, "control-metrics": 9101, "frontend": 8501}
FIRST_RUNNER = 3001


@dataclass(frozen=True)
class Settings:
    """Addresses and secrets that several processes must agree on."""

    home: Home
    database_url: str
    postgres: Postgres | None
    ports: dict[str, int]
    jwt_secret: str
    control_token: str
    administrator_password: str
    pipeline_key: str

    @property
    def application_url(self) -> str:
        """What gateway and control connect with: somebody else's server has the one role that was given."""
        return self.postgres.application_url if self.postgres else self.database_url

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


def settings(home: Home, state: State, database_url: str, postgres: Postgres | None) -> Settings:
    """Takes ports and secrets from the state, which gets what it lacks."""
    preferred = PREFERRED | {f"runner-{model}": FIRST_RUNNER + number for number, model in enumerate(catalogue.names())}
    ports = {name: state.port(name, port) for name, port in preferred.items()}
    jwt, control, administrator, pipeline = map(state.secret, ("jwt", "control", "administrator", "pipeline"))
    return Settings(home, database_url, postgres, ports, jwt, control, administrator, f"my_pipeline_{pipeline}")


def declare(s: Settings) -> list[Process]:
    runners = [_runner(s, model) for model in catalogue.names()]
    return [
        *([_postgres(s.postgres)] if s.postgres else []),
        _database(s),
        _migrations(s),
        _mlflow(s),
        _control(s),
        *runners,
        _gateway(s, runners),
        _frontend(s),
    ]


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _postgres(server: Postgres) -> Process:
    return Process(
        name="postgres",
        command=server.command,
        probe=f"tcp://127.0.0.1:{server.port}",
        stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        grace=6,
        account=server.account,
        folder=server.data,
        url=f"postgresql://127.0.0.1:{server.port}",
    )


def _database(s: Settings) -> Process:
    needs = frozenset({"postgres"} if s.postgres else ())
    return Process("database", _python("services.local.steps.database"), {"DATABASE_URL": s.database_url}, once=True, needs=needs)


def _migrations(s: Settings) -> Process:
    environment = {"DATABASE_URL": s.database_url}
    if s.postgres:
        environment |= {"MIGRATIONS_APPLICATION_ROLE": APPLICATION, "MIGRATIONS_APPLICATION_PASSWORD": s.postgres.application_password}
    return Process("migrations", _python("services.migrations"), environment, once=True, needs=frozenset({"database"}))


def _mlflow(s: Settings) -> Process:
    folder = s.home.folder / "mlflow"
    options = ["--host", "127.0.0.1", "--port", str(s.ports["mlflow"]), "--artifacts-destination", str(folder)]
    return Process(
        name="mlflow",
        command=_python("services.mlflow_server", *options),
        environment={"DATABASE_URL": s.database_url, "OMP_NUM_THREADS": "1"},
        probe=f"{s.url('mlflow')}/health",
        needs=frozenset({"database"}),
        url=s.url("mlflow"),
    )


def _control(s: Settings) -> Process:
    return Process(
        name="control",
        command=_python("services.control"),
        environment={
            "CONTROL_ENVIRONMENT": "local",
            "CONTROL_HOST": "127.0.0.1",
            "CONTROL_PORT": str(s.ports["control"]),
            "CONTROL_METRICS_PORT": str(s.ports["control-metrics"]),
            "CONTROL_DATABASE_URL": s.application_url,
            "CONTROL_MLFLOW_URL": s.url("mlflow"),
            "CONTROL_TOKEN": s.control_token,
            "CONTROL_LOG_DIR": str(s.home.logs / "workflows"),
            "CONTROL_URL": s.url("control"),
            "CONTROL_WORKFLOWS": "local",
            "CONTROL_EVIDENTLY": str(EVIDENTLY),
            "PIPELINE_GATEWAY_URL": s.url("gateway"),
            "PIPELINE_GATEWAY_KEY": s.pipeline_key,
        },
        probe=f"{s.url('control')}/readyz",
        grace=6,
        needs=frozenset({"migrations"}),
        after=frozenset({"mlflow"}),
        url=s.url("control"),
    )


def _runner(s: Settings, model: str) -> Process:
    name = f"runner-{model}"
    return Process(
        name=name,
        command=_python("bentos.serving", "--model", model),
        environment={
            "RUNNER_ENVIRONMENT": "local",
            "RUNNER_MODEL": model,
            "RUNNER_HOST": "127.0.0.1",
            "RUNNER_PORT": str(s.ports[name]),
            "RUNNER_CONTROL_URL": s.url("control"),
            "RUNNER_CONTROL_TOKEN": s.control_token,
            "RUNNER_MLFLOW_URL": s.url("mlflow"),
            "RUNNER_DRAIN_SECONDS": "0.3",
            "RUNNER_CACHE_DIR": str(s.home.folder / "runners" / model),
            "BENTOML_HOME": str(s.home.folder / "bentoml" / model),  # each wipes its folder of metrics when it starts
            "BENTOML_DO_NOT_TRACK": "true",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        probe=f"{s.url(name)}/v2/health/ready",  # stricter than /readyz, which is content while nothing has been promoted
        needs=frozenset({"database"}),
        after=frozenset({"control", "mlflow"}),
        url=s.url(name),
    )


def _gateway(s: Settings, runners: list[Process]) -> Process:
    return Process(
        name="gateway",
        command=_python("services.gateway"),
        environment={
            "GATEWAY_ENVIRONMENT": "local",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(s.ports["gateway"]),
            "GATEWAY_METRICS_PORT": str(s.ports["gateway-metrics"]),
            "GATEWAY_DATABASE_URL": s.application_url,
            "GATEWAY_CONTROL_URL": s.url("control"),
            "GATEWAY_CONTROL_TOKEN": s.control_token,
            "GATEWAY_RUNNERS": json.dumps({runner.environment["RUNNER_MODEL"]: runner.url for runner in runners}),
            "GATEWAY_JWT_SECRET": s.jwt_secret,
            "GATEWAY_ACCESS_MINUTES": "60",
            "GATEWAY_DRAIN_SECONDS": "0.3",
            "GATEWAY_RATE_LIMIT": "1000000/minute",  # one person's own machine
            "GATEWAY_SPOOL_DIR": str(s.home.spool),
            "GATEWAY_BOOTSTRAP_USERNAME": ADMINISTRATOR,
            "GATEWAY_BOOTSTRAP_PASSWORD": s.administrator_password,
            "GATEWAY_PIPELINE_KEY": s.pipeline_key,
        },
        probe=f"{s.url('gateway')}/livez",
        needs=frozenset({"migrations"}),
        after=frozenset({"control", *(runner.name for runner in runners)}),
        url=s.url("gateway"),
    )


def _frontend(s: Settings) -> Process:
    return Process(
        name="frontend",
        command=_python("frontend"),
        environment={
            "FRONTEND_HOST": "127.0.0.1",
            "FRONTEND_PORT": str(s.ports["frontend"]),
            "FRONTEND_GATEWAY_URL": s.url("gateway"),
            "FRONTEND_MLFLOW_URL": s.url("mlflow"),
        },
        probe=f"{s.url('frontend')}/_stcore/health",
        needs=frozenset({"migrations"}),
        after=frozenset({"gateway"}),
        url=s.url("frontend"),
    )
