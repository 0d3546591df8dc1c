"""The tracking server keeps its tables apart, and says in a line what it lacks."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from services.mlflow_server.store import ensure_schema, store_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_store_is_a_schema_of_the_database_whatever_its_address_says() -> None:
    assert store_of("postgres://u:p%40@h:5/d?sslmode=require") == "postgresql+psycopg://u:p%40@h:5/d?sslmode=require&options=-csearch_path%3Dmlflow"
    assert store_of("postgresql://u@h/d?options=-cwork_mem%3D8MB").endswith("?options=-cwork_mem%3D8MB%20-csearch_path%3Dmlflow")


def test_several_make_the_schema_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ensure_schema, [database_url] * 4))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'mlflow'").fetchone() == (1,)


def test_what_is_missing_is_told_in_a_line(free_port: int) -> None:
    command = [sys.executable, "-m", "services.mlflow_server"]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    for given, words in [({}, "DATABASE_URL is not set"), ({"DATABASE_URL": f"postgresql://u@127.0.0.1:{free_port}/d"}, "the database could not be reached")]:
        ended = subprocess.run(command, cwd=ROOT, env=environment | given, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
        assert words in ended.stderr
