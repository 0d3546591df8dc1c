"""The two published forms of the employees' data, and what is said about broken ones."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score

from bentos.attrition import data, features, french, train
from bentos.contract import BadData
from tests.unit.models.employees import EMPLOYEES, in_french, in_ibm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    in_french(tmp_path)
    return tmp_path


def french_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("extrait_*.csv"))


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def refusal(paths: Sequence[Path]) -> list[str]:
    with pytest.raises(BadData) as bad:
        data.files(paths)
    return [str(problem) for problem in bad.value.problems]


def test_both_forms_give_the_same_frame(folder: Path) -> None:
    ibm = in_ibm(folder)
    from_ibm = data.files([ibm])
    assert len(from_ibm) == EMPLOYEES
    assert list(from_ibm.index[:2]) == [2, 3]
    pd.testing.assert_frame_equal(from_ibm, data.files(list(reversed(french_files(folder)))))
    pd.testing.assert_frame_equal(from_ibm, data.files(sorted(folder.glob("*.csv"))))


def test_french_files_are_joined_by_employee_not_by_place(folder: Path) -> None:
    before = data.files(french_files(folder))
    edit(folder / "extrait_eval.csv", lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]) + "\n")
    pd.testing.assert_frame_equal(before, data.files(french_files(folder)))


def test_every_problem_of_the_three_files_is_listed_with_its_line(folder: Path) -> None:
    edit(folder / "extrait_sirh.csv", lambda text: text.replace("Consulting", "Conseil", 1).replace("\n1,", "\nx1,", 1))
    edit(folder / "extrait_eval.csv", lambda text: text.replace("11 %", "onze", 1).replace("E_3,", "E_2,", 1))
    edit(folder / "extrait_sondage.csv", lambda text: text.replace("Frequent", "Souvent", 1))
    said = refusal(french_files(folder))
    for start, lines in (
        ("extrait_sirh.csv: departement: 'Conseil' is none of Commercial, Consulting, Ressources Humaines", "(2)"),
        ("extrait_sirh.csv: id_employee: must look like 41", "(2)"),
        ("extrait_sirh.csv: id_employee: the employee is not in extrait_eval.csv", "(4)"),
        ("extrait_eval.csv: eval_number: the employee appears more than once", "(3, 4)"),
        ("extrait_eval.csv: augementation_salaire_precedente: must look like 11 %", "("),
        ("extrait_sondage.csv: frequence_deplacement: 'Souvent' is none of Aucun, Frequent, Occasionnel", "("),
        ("extrait_sondage.csv: code_sondage: the employee is not in extrait_sirh.csv", "(2)"),
    ):
        assert any(line.startswith(start) and lines in line for line in said), (start, said)


def test_one_french_file_is_not_enough(folder: Path) -> None:
    said = refusal([folder / "extrait_eval.csv", folder / "extrait_sirh.csv"])
    assert len(said) == len(french.columns("sondage"))
    assert said[0] == "code_sondage: column is missing: no file beside extrait_eval.csv, extrait_sirh.csv has the columns of extrait_sondage.csv"


def test_foreign_files_matter_only_when_nothing_fits(folder: Path) -> None:
    foreign = folder / "weather.csv"
    foreign.write_text("day,rain\n1,2\n", encoding="utf-8")
    assert len(data.files([foreign, *french_files(folder)])) == EMPLOYEES
    assert any(line == "Age: column is missing in weather.csv" for line in refusal([foreign]))
    assert refusal([])[0].startswith("files: there is no CSV file; expected one with the columns Age, Gender")


def test_ibm_file_with_a_missing_column_and_wrong_values(tmp_path: Path) -> None:
    path = in_ibm(tmp_path)
    table = pd.read_csv(path, dtype=str)
    table.loc[1, "Age"], table.loc[2, "Attrition"] = "forty", "Perhaps"
    table.to_csv(path, index=False)
    assert refusal([path]) == ["Attrition: 'Perhaps' is none of Yes, No in 1 row (4)", "Age: not a number: 'forty' in 1 row (3)"]
    table.drop(columns=["Age", "OverTime"]).to_csv(path, index=False)
    assert sorted(refusal([path])) == ["Age: column is missing in ibm.csv", "OverTime: column is missing in ibm.csv"]


def test_impossible_careers_are_found() -> None:
    frame = data.synthetic(50, 1, 0.0)
    frame.loc[7, "years_in_current_role"] = frame.loc[7, "years_at_company"] + 1
    assert [str(problem) for problem in train.problems(frame)] == ["years_in_current_role: must not be above years_at_company in 1 row (7)"]


def test_protected_fields_do_not_reach_the_matrix() -> None:
    columns = train.examples(data.synthetic(100, 1, 0.0)).columns
    before = features.matrix(columns)
    columns["age"] = columns["age"] + 10
    columns["gender"] = np.where(columns["gender"] == "Male", "Female", "Male").astype(object)
    columns["marital_status"] = np.full(100, "Married", dtype=object)
    assert np.array_equal(before, features.matrix(columns))


def test_real_rows(shared_data: Path) -> None:
    folder = shared_data / "attrition"
    frame = data.files(sorted(folder.glob("*.csv")))
    pd.testing.assert_frame_equal(frame, data.files([folder / f"extrait_{form}.csv" for form in ("sondage", "eval", "sirh")]))
    assert len(frame) == 1176
    assert frame[train.TARGET].sum() == 190
    assert train.problems(frame) == []
    examples = train.examples(frame)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(train.estimator(0), features.matrix(examples.columns), examples.target, cv=folds, scoring="roc_auc")
    assert scores.mean() >= 0.82
