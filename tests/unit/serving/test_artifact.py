"""A version is served only when it is, byte by byte, the one that was registered, and fits the process that loads it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bentos import contract
from bentos.serving import artifact, engines, estimators
from bentos.serving.artifact import Refused
from tests.versions import Version, build

MODEL = "credit_scoring"
FASTER_BY_SIZE = {"native": {"1": 1, "8": 1, "64": 9, "1024": 9}, "gtil": {"1": 5, "8": 5, "64": 5, "1024": 5}}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return build(tmp_path_factory.mktemp("version"), MODEL)


@pytest.fixture
def folder(original: Version, tmp_path: Path) -> Path:
    return shutil.copytree(original.folder, tmp_path / "copy")


def seal(folder: Path) -> str:
    """Lists the files again, as somebody who can write to the artifact store would."""
    names = sorted(path.name for path in folder.iterdir() if path.name != artifact.SUMS)
    (folder / artifact.SUMS).write_text("".join(f"{artifact.digest(folder / name)}  {name}\n" for name in names))
    return artifact.digest(folder / artifact.SUMS)


def change(folder: Path, name: str, update: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads((folder / name).read_text())
    update(document)
    (folder / name).write_text(json.dumps(document))
    return seal(folder)


def test_what_was_written_is_read_and_scores_alike(original: Version) -> None:
    found = artifact.read(original.folder, MODEL, original.sha256)
    assert found.engine.kind == original.engine.kind
    assert found.contract["run_id"] == "run-1"
    assert found.contract["versions"] == artifact.versions()
    scores, _ = found.score(original.rows)
    matrix = contract.features(MODEL).matrix(original.examples.take(np.arange(30)).columns)
    assert np.array_equal(scores, original.engine.scores(matrix))
    restored = estimators.restore(original.folder)
    assert np.array_equal(restored.predict_proba(matrix)[:, 1], scores)


@pytest.mark.parametrize("name", ["model.skops", "engine.json", "engine.tl", "contract.json", "golden.json", "reference.json"])
def test_one_changed_byte_in_any_file_is_refused(name: str, folder: Path, original: Version) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(Refused, match=rf"^{name}: expected sha256 [0-9a-f]{{64}}, found [0-9a-f]{{64}}$"):
        artifact.read(folder, MODEL, original.sha256)


def test_a_list_other_than_the_registered_one_is_refused(folder: Path, original: Version) -> None:
    change(folder, "contract.json", lambda document: document.update(run_id="another"))
    with pytest.raises(Refused, match=f"^SHA256SUMS: expected sha256 {original.sha256}, found "):
        artifact.read(folder, MODEL, original.sha256)


def test_additional_missing_and_linked_files_are_refused(folder: Path, original: Version, tmp_path: Path) -> None:
    (folder / "extra.py").write_text("")
    with pytest.raises(Refused, match=r"^extra\.py: is not listed in SHA256SUMS$"):
        artifact.read(folder, MODEL, original.sha256)
    (folder / "extra.py").unlink()
    (folder / "engine.tl").rename(tmp_path / "engine.tl")
    with pytest.raises(Refused, match=r"^engine\.tl: is listed in SHA256SUMS but absent$"):
        artifact.read(folder, MODEL, original.sha256)
    (folder / "engine.tl").symlink_to(tmp_path / "engine.tl")
    with pytest.raises(Refused, match=r"^engine\.tl: is not a regular file$"):
        artifact.read(folder, MODEL, original.sha256)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(Refused, match=r"^SHA256SUMS: cannot be read: No such file or directory$"):
        artifact.read(folder, MODEL, original.sha256)


@pytest.mark.parametrize("name", ["../model.skops", "/etc/passwd", "a/b", "..", ".hidden", "SHA256SUMS", "with space"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="is not `<sha256>  <plain file name>`"):
        artifact.parse_sums(f"{'0' * 64}  {name}\n".encode(), None)


def test_a_list_must_name_the_parts_once() -> None:
    with pytest.raises(Refused, match=r"does not list contract\.json, engine\.json, golden\.json, model\.skops, reference\.json"):
        artifact.parse_sums(b"", None)
    with pytest.raises(Refused, match="names a file twice"):
        artifact.parse_sums(f"{'0' * 64}  a\n{'0' * 64}  a\n".encode(), None)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (lambda document: document.update(model="attrition"), "contract.json: model: expected 'credit_scoring', found 'attrition'"),
        (lambda document: document["versions"].update(python="3.9"), "contract.json: version of python: expected "),
        (lambda document: document["versions"].update({"scikit-learn": "1.2"}), "contract.json: version of scikit-learn: expected "),
        (lambda document: document["versions"].pop("numpy"), "contract.json: version of numpy: expected "),
        (lambda document: document["features"].reverse(), "contract.json: features and their order: expected "),
        (lambda document: document["inputs"].append("more"), "contract.json: input fields and their order: expected "),
    ],
)
def test_a_contract_of_another_process_is_refused(update: Callable[[dict[str, Any]], object], words: str, folder: Path) -> None:
    sha256 = change(folder, "contract.json", update)
    with pytest.raises(Refused) as refused:
        artifact.read(folder, MODEL, sha256)
    assert str(refused.value).startswith(words)


@pytest.mark.usefixtures("native")
def test_each_engine_that_will_score_has_to_reproduce_the_golden_rows(folder: Path) -> None:
    """The walker for single rows, treelite for many: one of them is another model's."""
    change(folder, "engine.json", lambda document: document.update(us_per_row=FASTER_BY_SIZE))
    both = artifact.read(folder, MODEL, seal(folder))
    assert both.engine.kind == "native+gtil"
    change(folder, "engine.json", lambda document: next(form for form in document["forms"] if form["kind"] == "native").update(divisor=12.0))
    with pytest.raises(Refused, match="of 30 golden rows are not reproduced"):
        artifact.read(folder, MODEL, seal(folder))


def test_golden_rows_that_are_not_reproduced_are_refused(folder: Path, original: Version) -> None:
    sha256 = change(folder, "golden.json", lambda document: document["scores"].__setitem__(3, document["scores"][3] + 1e-9))
    with pytest.raises(Refused, match=r"^golden\.json: 1 of 30 golden rows are not reproduced; row 3: expected .*, found .*, tolerance 1e-12$"):
        artifact.read(folder, MODEL, sha256)
    sha256 = change(folder, "golden.json", lambda document: document["rows"][0].pop("annuity"))
    with pytest.raises(Refused, match=r"^golden\.json: the golden rows cannot be scored: KeyError: 'annuity'$"):
        artifact.read(folder, MODEL, sha256)
    sha256 = change(folder, "golden.json", lambda document: document.update(rows=[], scores=[]))
    with pytest.raises(Refused, match="expected at least 20 rows with one score each, found 0 rows and 0 scores"):
        artifact.read(folder, MODEL, sha256)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("file", "kind", "words"), [("engine.tl", "gtil", "ValueError: treelite: "), ("walker.npz", "native", "ValueError: ")])
def test_a_broken_engine_is_refused(file: str, kind: str, words: str, folder: Path) -> None:
    change(folder, "engine.json", lambda document: document.update(forms=[form for form in document["forms"] if form["kind"] == kind]))
    (folder / file).write_bytes(b"\0" * 64)
    with pytest.raises(Refused, match=rf"^engine\.json: the engine cannot be loaded: {words}"):
        artifact.read(folder, MODEL, seal(folder))


def test_an_estimator_with_foreign_types_is_never_built(tmp_path: Path) -> None:
    from skops import io

    io.dump({"steps": [Version]}, tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"types that are not trusted: tests\.versions\.Version"):
        estimators.restore(tmp_path)


def test_too_few_golden_rows_are_not_written(original: Version, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 golden rows with 1 scores; 20 is the least"):
        artifact.write(
            tmp_path,
            model=MODEL,
            task="classification",
            estimator=original.estimator,
            stored=engines.Stored([original.engine], {}),
            golden=original.rows[:1],
            golden_scores=np.zeros(1),
            reference={},
            run_id="r",
        )
