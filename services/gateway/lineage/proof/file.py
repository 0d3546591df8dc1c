"""The proof of an answer: a zip that is read and checked without the platform."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import bentos
from services.gateway.auth.credentials import Principal
from services.gateway.lineage import service
from services.gateway.predictions.history import shown
from services.gateway.state import State
from services.kit.errors import Problem

HERE = Path(__file__).parent
FORMAT = "modelyard-proof/1"
EPOCH = (2026, 1, 1, 0, 0, 0)
"""Of the files in the zip: the same proof is the same bytes."""


async def proof_file(state: State, caller: Principal, prediction_id: UUID, row: dict[str, Any], deadline: float) -> bytes:
    origin = await service.origin(state, row)
    chain = await state.control.get(f"/models/{row['model']}/ledger/chain")
    try:
        again: dict[str, Any] = (await service.reproduction(state, prediction_id, row, origin["policy"], deadline)).model_dump(mode="json")
    except Problem as problem:
        again = {"exact": None, "words": f"Not tried: {problem.detail}"}
    document = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(),
        "made_by": caller.username,
        "prediction": shown(row).model_dump(mode="json"),
        **{name: origin[name] for name in ("version", "code_revision", "policy")},
        "deployment": origin["deployment"] and origin["deployment"]["id"],
        "policy_deployment": origin["policy_deployment"] and origin["policy_deployment"]["id"],
        "verification": origin["deployment"] and origin["deployment"]["verification"],
        "reproduction": again,
        "card": _card(row["model"]),
        "chain": chain["entries"],
        "head": chain["head"],
    }
    return packed(sealed(document))


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """With the SHA-256 of all of it, in the form that check.py computes again."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return document | {"seal": hashlib.sha256(text.encode()).hexdigest()}


def packed(document: dict[str, Any]) -> bytes:
    files = {"proof.json": json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)}
    files |= {name: (HERE / name).read_text(encoding="utf-8") for name in ("README.txt", "check.py")}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def _card(model: str) -> str | None:
    """The model's card, as its folder has it."""
    path = Path(bentos.__file__).parent / model / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else None
