from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings


class Settings(HttpSettings):
    """Environment variables with the prefix CONTROL_."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_", extra="forbid", frozen=True)

    port: int = Field(8001, ge=0, le=65535)
    """Port to listen on."""
    metrics_port: int = Field(9101, ge=0, le=65535)
    """Port of /metrics, apart so that it is never public. 0 switches it off."""
    database_url: str = Field(min_length=1, repr=False)
    """The platform's PostgreSQL database."""
    mlflow_url: str = Field(min_length=1)
    """Where the pipeline's steps keep runs and versions, and what links to a version point to."""
    token: SecretStr = Field(min_length=1)
    """Whoever changes anything, and every runner that reports, sends it as `Authorization: Bearer`."""
    url: str = "http://127.0.0.1:8001"
    """This service as the pipeline's steps reach it."""
    workflows: Literal["local", "argo"] = "local"
    """How workflow runs are carried out: `local` starts their steps as processes of this machine, `argo` makes Workflows for Argo in a cluster."""
    workflows_at_once: int = Field(2, ge=1, le=100)
    """Runs that may be under way together; others wait, and so does a second one of the same model."""
    evidently: Path | None = None
    """With `local`: the Python of an environment with the packages of the group `evidently`. Without it there are no reports of Evidently's."""
    namespace: str | None = None
    """With `argo`: where the WorkflowTemplates are. The pod's own namespace unless given, or that of the current context of KUBECONFIG."""
    log_dir: Path
    """Folder of the workflow runs' logs."""
    kraken_url: str = "https://api.kraken.com"
    """Where prices and candles of crypto assets come from. Empty: nowhere; those that are there stay."""
    kraken_spacing_seconds: float = Field(1.1, ge=0, le=60)
    """Between two calls to Kraken, which takes about one a second from an address."""
    market_refresh_seconds: float = Field(60.0, gt=0, le=3600)
    """How often prices are asked for, and candles that have been completed meanwhile."""
    market_history_days: int = Field(30, ge=1, le=3650)
    """Days of hourly candles to have. Those before the 30 that Kraken lists are added up from its trades: of a busy pair, a month is an hour of calls."""
    notifications: Path | None = None
    """YAML file of the channels through which people are told (docs/notifications.md). Without it nobody is; what would be told is kept all the same."""
