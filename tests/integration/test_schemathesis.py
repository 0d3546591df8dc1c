"""Every operation of the description called with what it allows and what it does not, as each role: no server error, no answer that it does not tell of.

MODELYARD_SCHEMATHESIS_EXAMPLES asks for more examples of each operation than the few of a usual run, and for all of Schemathesis' phases as every role.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from services.gateway.access import Role
from tests.conftest import ROOT
from tests.integration.described import described

EXAMPLES = int(os.environ.get("MODELYARD_SCHEMATHESIS_EXAMPLES", "0"))
CONFIG = """
[auth.openapi.apiKey]
api_key = "{key}"

[checks]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429"]

# What a tensor must have, what stands in a line, which outcome a model can have, that a key comes with one request alone: the schema of a body does not say it.
[[operations]]
include-operation-id = [
    "open_inference_protocol_infer", "open_inference_protocol_infer_version", "predict_tiny", "predict_tiny_batch",
    "outcomes_record", "outcomes_record_many", "models_set_policy", "models_rollback",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]

# The key in use would be revoked.
[[operations]]
include-operation-id = "auth_revoke_key"
phases.stateful.enabled = false
"""
ENVIRONMENT = os.environ | {"SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing"


@pytest.mark.timeout(max(240, EXAMPLES * 120))
@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
async def test_the_description_holds(database_url: str, role: Role, tmp_path: Path) -> None:
    async with described(database_url) as gateway:
        (tmp_path / "schemathesis.toml").write_text(CONFIG.format(key=await gateway.key_of(role)))
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json"]
        chosen = ["--checks", "all", "--phases", PHASES, "--max-examples", str(EXAMPLES or 2), "--seed", "1", "--continue-on-failure", "--no-color"]
        process = await asyncio.create_subprocess_exec(
            *command, *chosen, cwd=tmp_path, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
    summary = output[output.rfind("= SUMMARY =") :]
    if folder := os.environ.get("MODELYARD_SCHEMATHESIS_REPORTS"):
        (Path(folder) / f"{role.name}.txt").write_text(output)
    assert process.returncode == 0, re.sub(r"(?m)^.*curl .*$", "", output)[-20_000:]
    operations = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", summary)
    assert operations is not None, summary
    assert len(set(operations.groups())) == 1, "every operation is called"
