"""Synthetic employees written in the two published forms."""

from pathlib import Path

import pandas as pd

from bentos.attrition import data, french

EMPLOYEES = 40


def _frame() -> pd.DataFrame:
    frame = data.synthetic(EMPLOYEES, 5, 0.0)
    frame.insert(0, "employee", range(1, EMPLOYEES + 1))
    # The tests' edits need these categories near the top.
    frame.loc[0, ["department", "job_role", "business_travel", "percent_salary_hike"]] = ["Research & Development", "Manager", "Travel_Frequently", 11]
    return frame


def in_ibm(folder: Path) -> Path:
    frame = _frame().rename(columns={ours: theirs for theirs, ours in data.IBM.items()} | {"employee": "EmployeeNumber"})
    frame["Attrition"] = frame["Attrition"].map({1: "Yes", 0: "No"})
    frame.assign(StandardHours=80).to_csv(folder / "ibm.csv", index=False)
    return folder / "ibm.csv"


def in_french(folder: Path) -> None:
    frame = _frame()
    for form, names in french.FORMS.items():
        part = pd.DataFrame()
        number = frame["employee"].astype(str)
        part[french.KEYS[form][0]] = {"sirh": "", "eval": "E_", "sondage": "00000"}[form] + number
        for theirs, ours in names.items():
            back = {value: text for text, value in french.SPELLING.get(theirs, {}).items()}
            part[theirs] = frame[ours].map(back) if back else frame[ours]
            if theirs == french.PERCENT:
                part[theirs] = part[theirs].astype(str) + " %"
        part.to_csv(folder / f"extrait_{form}.csv", index=False)
