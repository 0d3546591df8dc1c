"""The French three-file form: its columns and spellings as published, and how they become IBM's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bentos import tabular
from bentos.contract import BadData, Problem

FORMS: dict[str, dict[str, str]] = {
    "sirh": {
        "age": "age",
        "genre": "gender",
        "revenu_mensuel": "monthly_income",
        "statut_marital": "marital_status",
        "departement": "department",
        "poste": "job_role",
        "nombre_experiences_precedentes": "num_companies_worked",
        "annee_experience_totale": "total_working_years",
        "annees_dans_l_entreprise": "years_at_company",
        "annees_dans_le_poste_actuel": "years_in_current_role",
    },
    "eval": {
        "satisfaction_employee_environnement": "environment_satisfaction",
        "note_evaluation_precedente": "job_involvement",
        "niveau_hierarchique_poste": "job_level",
        "satisfaction_employee_nature_travail": "job_satisfaction",
        "satisfaction_employee_equipe": "relationship_satisfaction",
        "satisfaction_employee_equilibre_pro_perso": "work_life_balance",
        "note_evaluation_actuelle": "performance_rating",
        "heure_supplementaires": "over_time",
        "augementation_salaire_precedente": "percent_salary_hike",
    },
    "sondage": {
        "a_quitte_l_entreprise": "attrition",
        "nombre_participation_pee": "stock_option_level",
        "nb_formations_suivies": "training_times_last_year",
        "distance_domicile_travail": "distance_from_home",
        "niveau_education": "education",
        "domaine_etude": "education_field",
        "frequence_deplacement": "business_travel",
        "annees_depuis_la_derniere_promotion": "years_since_last_promotion",
        "annes_sous_responsable_actuel": "years_with_curr_manager",
    },
}
"""Each file's columns by their published names, with ours."""

KEYS = {"sirh": ("id_employee", r"\d+", "41"), "eval": ("eval_number", r"E_\d+", "E_41"), "sondage": ("code_sondage", r"\d+", "0000041")}
"""Each file's column with the employee's number, its pattern, and number 41 as an example."""

PERCENT = "augementation_salaire_precedente"

SPELLING: dict[str, Mapping[str, Any]] = {
    "genre": {"F": "Female", "M": "Male"},
    "statut_marital": {"Célibataire": "Single", "Marié(e)": "Married", "Divorcé(e)": "Divorced"},
    "departement": {"Commercial": "Sales", "Consulting": "Research & Development", "Ressources Humaines": "Human Resources"},
    "poste": {
        "Assistant de Direction": "Research Scientist",
        "Cadre Commercial": "Sales Executive",
        "Consultant": "Laboratory Technician",
        "Directeur Technique": "Research Director",
        "Manager": "Healthcare Representative",
        "Représentant Commercial": "Sales Representative",
        "Ressources Humaines": "Human Resources",
        "Senior Manager": "Manager",
        "Tech Lead": "Manufacturing Director",
    },
    "heure_supplementaires": {"Oui": "Yes", "Non": "No"},
    "a_quitte_l_entreprise": {"Oui": 1, "Non": 0},
    "domaine_etude": {
        "Autre": "Other",
        "Entrepreunariat": "Technical Degree",
        "Infra & Cloud": "Life Sciences",
        "Marketing": "Marketing",
        "Ressources Humaines": "Human Resources",
        "Transformation Digitale": "Medical",
    },
    "frequence_deplacement": {"Aucun": "Non-Travel", "Frequent": "Travel_Frequently", "Occasionnel": "Travel_Rarely"},
}


def columns(form: str) -> list[str]:
    """All that a file of this form must have."""
    return [KEYS[form][0], *FORMS[form]]


def joined(found: Mapping[str, Path]) -> pd.DataFrame:
    """The three files (by form) joined on the employee's number, in the order and with the line numbers of `sirh`.

    Raises BadData with the problems of all three.
    """
    parts: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for form in FORMS:
        parts[form], flaws = _part(form, found[form])
        problems += flaws
    for form, part in parts.items():
        for other in FORMS:
            alone = part["employee"].notna() & ~part["employee"].isin(parts[other]["employee"])
            problems += tabular.broken(f"{found[form].name}: {KEYS[form][0]}", f"the employee is not in {found[other].name}", alone)
    if problems:
        raise BadData(problems)
    frame = parts["sirh"]
    for form in ("eval", "sondage"):
        frame = frame.join(parts[form].set_index("employee"), on="employee")
    return frame.drop(columns="employee")


def _part(form: str, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """One file with our names and values and a column `employee` (missing where the key is malformed), and its problems."""
    key, pattern, example = KEYS[form]
    frame = tabular.read(path, columns(form))
    text = frame.pop(key)
    wrong = ~text.str.fullmatch(pattern).fillna(False).astype(bool)
    problems = tabular.broken(key, f"must look like {example}", wrong)
    employee = text.mask(wrong).str.extract(r"(\d+)$", expand=False).astype("Int64")
    problems += tabular.broken(key, "the employee appears more than once", employee.notna() & employee.duplicated(keep=False))
    if PERCENT in frame:
        wrong = frame[PERCENT].notna() & ~frame[PERCENT].str.fullmatch(r"\d+\s*%").fillna(False).astype(bool)
        problems += tabular.broken(PERCENT, "must look like 11 %", wrong)
        frame[PERCENT] = frame[PERCENT].mask(wrong).str.extract(r"(\d+)", expand=False)
    problems += tabular.convert(frame, SPELLING, [name for name in FORMS[form] if name not in SPELLING])
    frame = frame.rename(columns=FORMS[form]).assign(employee=employee)
    return frame, [Problem(f"{path.name}: {one.column}", one.rule, one.rows, one.count) for one in problems]
