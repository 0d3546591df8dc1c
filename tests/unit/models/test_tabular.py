"""Reading published CSV files: every way a file can be wrong is said in words, with its lines."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bentos import tabular
from bentos.contract import BadData
from bentos.encoding import codes


def refusal(path: Path, columns: list[str]) -> str:
    with pytest.raises(BadData) as bad:
        tabular.read(path, columns)
    return str(bad.value)


def written(folder: Path, content: str | bytes, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_index_is_the_line_number_and_empty_lines_are_left_out(tmp_path: Path) -> None:
    frame = tabular.read(written(tmp_path, "a,b,c\n1,x,9\n\n,y,9\n\n"), ["b", "a"])
    assert list(frame.columns) == ["b", "a"]
    assert list(frame.index) == [2, 4]
    assert frame["a"].isna().tolist() == [False, True]


def test_line_numbers_count_line_breaks_within_quotes(tmp_path: Path) -> None:
    assert list(tabular.read(written(tmp_path, 'a,b\n1,"x\ny"\n2,z\n'), ["a"]).index) == [2, 4]


def test_byte_order_mark_crlf_and_gzip_are_understood(tmp_path: Path) -> None:
    content = "\ufeffname,n\r\né,1\r\n".encode()
    packed = written(tmp_path, gzip.compress(content), "some.csv.gz")
    assert tabular.read(packed, ["name", "n"]).to_numpy().tolist() == [["é", "1"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("a,b\n", "has no rows"),
        ("a;b\n1;2\n", "separator a comma"),
        ("a,c\n1,2\n", "b: column is missing in some.csv"),
        ("a,b\n1,2\n1,2,3\n1\n", "a line must have 2 values like the first in 2 rows (3, 4)"),
        ("\n\n", "the file is empty"),
        ('a,b\n1,"2\n', "not a CSV table at line 2"),
        ("a,b\né,2\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_unusable_file(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in refusal(written(tmp_path, content), ["a", "b"])


def test_file_that_is_absent_or_cut_short(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "absent.csv", ["a"])
    whole = gzip.compress(b"a,b\n" + bytes(np.random.default_rng(0).integers(48, 58, 50_000, dtype=np.uint8)))
    assert "not a whole gzip file" in refusal(written(tmp_path, whole[:-4000], "cut.csv.gz"), ["a", "b"])
    assert "not a whole gzip file" in refusal(written(tmp_path, "a,b\n1,2\n", "plain.csv.gz"), ["a", "b"])
    assert "cannot be read" in refusal(tmp_path, ["a"])


def test_all_missing_columns_are_listed(tmp_path: Path) -> None:
    text = refusal(written(tmp_path, "a,z\n1,2\n"), ["a", "b", "c"])
    assert "b: column" in text
    assert "c: column" in text
    assert "a: column" not in text


def test_numbers(tmp_path: Path) -> None:
    text = pd.Series(["1", "2.0", " 3 "], index=[2, 3, 4], dtype="str")
    values, problems = tabular.numbers(text, "n")
    assert values.tolist() == [1, 2, 3]
    assert values.dtype == "int64"
    assert not problems

    values, problems = tabular.numbers(pd.Series(["1", "two", None, "inf", "1e300"], index=[2, 3, 4, 5, 6], dtype="str"), "n")
    assert values.dtype == "float64"
    assert values.isna().tolist() == [False, True, True, True, False]
    assert str(problems[0]) == "n: not a number: 'two', 'inf' in 2 rows (3, 5)"


def test_a_long_problem_is_cut(tmp_path: Path) -> None:
    _, problems = tabular.recoded(pd.Series([f"v{i}" for i in range(50)], dtype="str"), "c", {"yes": 1})
    assert problems[0].count == 50
    assert len(problems[0].rows) == tabular.SHOWN
    assert problems[0].rule == "'v0', 'v1', 'v2', 'v3', 'v4', … is none of yes"


def test_two_files_of_one_form_are_not_added_up(tmp_path: Path) -> None:
    paths = [written(tmp_path, "a,b\n1,2\n", f"{name}.csv") for name in ("one", "two")]
    with pytest.raises(BadData, match=r"two.csv: is a second file of the form of one.csv"):
        tabular.find(paths, {"pairs": ["a", "b"]})


def test_codes() -> None:
    known = {"risk": {"low": 0, "high": 1}, "sex": {"f": 0, "m": 1}}

    def column(*texts: object) -> NDArray[Any]:
        return np.array(texts, dtype=object)

    assert codes({"sex": column("f", "f"), "risk": column("high", "low")}, known).tolist() == [[1.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match=r"risk: 'odd' is none of low, high"):
        codes({"risk": column("low", "odd"), "sex": column("f", "x")}, known)
    with pytest.raises(ValueError, match="sex: nan is none of f, m"):
        codes({"risk": column("low"), "sex": np.array([np.nan])}, known)
    with pytest.raises(KeyError, match="sex"):
        codes({"risk": column("low")}, known)
