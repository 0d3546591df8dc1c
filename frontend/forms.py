"""A form from a JSON schema: any model's input becomes widgets with its own titles, help, ranges and choices."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import streamlit as st

Kind = Literal["number", "integer", "choice", "text", "boolean", "series", "json"]
COLUMNS = 3
ABSENT = object()
"""The value of a field that is left out."""


@dataclass(frozen=True)
class Field:
    name: str
    title: str
    help: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] = ()
    longest: int | None = None
    unit: str | None = None
    nullable: bool = False
    required: bool = True
    default: Any = ABSENT
    item: Literal["number", "integer", "text"] = "number"
    """What a series consists of."""

    @property
    def label(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit}"

    @property
    def slides(self) -> bool:
        """Numbers within bounds, and choices: what can be tried out with a slider."""
        return self.kind == "choice" or (self.kind in ("number", "integer") and self.minimum is not None and self.maximum is not None)


def fields(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[Field]:
    """In the schema's order. `schemas` resolves references."""
    required = set(schema.get("required", ()))
    for name, part in schema.get("properties", {}).items():
        yield _field(name, part, schemas, name in required)


def _field(name: str, part: dict[str, Any], schemas: dict[str, Any], required: bool) -> Field:
    merged, nullable = _resolved(part, schemas)
    kind = _kind(merged)
    whole = kind == "integer"
    exclusive = (1.0 if whole else 0.0) if "exclusiveMinimum" in merged else None
    low, high = merged.get("minimum"), merged.get("maximum")
    if low is None and exclusive is not None:
        low = merged["exclusiveMinimum"] + exclusive
    if high is None and "exclusiveMaximum" in merged:
        high = merged["exclusiveMaximum"] - (1 if whole else 0)
    return Field(
        name=name,
        title=str(merged.get("title") or name.replace("_", " ").capitalize()),
        help=str(merged.get("description", "")),
        kind=kind,
        minimum=low,
        maximum=high,
        step=merged.get("multipleOf"),
        choices=tuple(merged["enum"]) if "enum" in merged else (merged["const"],) if "const" in merged else (),
        longest=merged.get("maxLength"),
        unit=merged.get("unit") or merged.get("x-unit"),
        nullable=nullable,
        required=required,
        default=merged.get("default", ABSENT),
        item=_item(merged),
    )


def _resolved(part: dict[str, Any], schemas: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with its references and its `or null` worked in, and whether null is allowed."""
    found, nullable = dict(part), False
    for _ in range(8):  # deeper than any schema that a form could show
        if "$ref" in found:
            found = dict(schemas.get(str(found.pop("$ref")).rpartition("/")[2], {})) | found
        elif len(found.get("allOf", ())) == 1:
            found = dict(found.pop("allOf")[0]) | found
        elif "anyOf" in found or "oneOf" in found:
            options = found.pop("anyOf", None) or found.pop("oneOf", [])
            others = [option for option in options if option.get("type") != "null"]
            nullable = nullable or len(others) < len(options)
            if len(others) != 1:
                return {**found, "type": "mixed"}, nullable
            found = dict(others[0]) | found
        else:
            break
    types = found.get("type")
    if isinstance(types, list):
        nullable, others = nullable or "null" in types, [one for one in types if one != "null"]
        found["type"] = others[0] if len(others) == 1 else "mixed"
    if "enum" in found and None in found["enum"]:
        nullable, found["enum"] = True, [one for one in found["enum"] if one is not None]
    return found, nullable


def _kind(schema: dict[str, Any]) -> Kind:
    if "enum" in schema or "const" in schema:
        return "choice"
    simple: dict[Any, Kind] = {"number": "number", "integer": "integer", "string": "text", "boolean": "boolean"}
    if schema.get("type") == "array" and schema.get("items", {}).get("type") in ("number", "integer", "string"):
        return "series"
    return simple.get(schema.get("type"), "json")


def _item(schema: dict[str, Any]) -> Literal["number", "integer", "text"]:
    kind = schema.get("items", {}).get("type") if isinstance(schema.get("items"), dict) else None
    return "integer" if kind == "integer" else "text" if kind == "string" else "number"


def start_of(field: Field, given: dict[str, Any]) -> Any:
    """What a widget begins with: what was given, else the default, else nothing. A value that the widget could not show counts as none."""
    value = given.get(field.name, field.default)
    if value is ABSENT or value is None:
        return None
    if field.kind == "choice":
        return value if value in field.choices else None
    if field.kind in ("number", "integer"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or (field.kind == "integer" and value != int(value)):
            return None
        within = (field.minimum is None or value >= field.minimum) and (field.maximum is None or value <= field.maximum)
        return (int(value) if field.kind == "integer" else float(value)) if within else None
    if field.kind == "text":
        return str(value)[: field.longest]
    return value


def render(inputs: Sequence[Field], given: dict[str, Any], key: str) -> tuple[dict[str, Any], list[str]]:
    """The widgets, and what is in them: the row, and a sentence for each field that cannot be sent as it is."""
    row: dict[str, Any] = {}
    wrong: list[str] = []
    simple = [field for field in inputs if field.kind not in ("series", "json")]
    columns = st.columns(min(COLUMNS, max(1, len(simple))), gap="medium") if simple else []
    depth = -(-len(simple) // max(1, len(columns)))
    for position, field in enumerate(simple):  # down the first column, then the next: the order in which Tab goes
        with columns[position // depth]:
            _put(field, widget(field, start_of(field, given), f"{key} {field.name}"), row, wrong)
    series = [field for field in inputs if field.kind == "series"]
    if series:
        row |= _series(series, given, key)
    for field in inputs:
        if field.kind == "json":
            _json(field, given, key, row, wrong)
    return {field.name: row[field.name] for field in inputs if field.name in row}, wrong


def _put(field: Field, value: Any, row: dict[str, Any], wrong: list[str]) -> None:
    if value is not None and value != "":
        row[field.name] = value
    elif field.nullable:
        row[field.name] = None
    elif field.required:
        wrong.append(f"**{field.title}** is needed.")


def widget(field: Field, start: Any, key: str) -> Any:
    """One widget; None while it is empty."""
    empty = "not known" if field.nullable else "" if field.required else "optional"
    if field.kind == "choice":
        index = field.choices.index(start) if start is not None else None
        return st.selectbox(field.label, field.choices, index=index, help=field.help or None, key=key, placeholder=empty or "choose")
    if field.kind == "boolean":
        if field.nullable or start is None:
            return st.selectbox(
                field.label,
                (True, False),
                index=None if start is None else int(not start),
                format_func=_yes_no,
                help=field.help or None,
                key=key,
                placeholder=empty or "choose",
            )
        return st.toggle(field.label, value=bool(start), help=field.help or None, key=key)
    if field.kind in ("number", "integer"):
        return _number(field, start, key, empty)
    return st.text_input(field.label, value=start, max_chars=field.longest, help=field.help or None, key=key, placeholder=empty)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _number(field: Field, start: Any, key: str, empty: str) -> Any:
    low, high = field.minimum, field.maximum
    span = (
        ""
        if low is None and high is None
        else f" Between {low:,} and {high:,}."
        if low is not None and high is not None
        else f" At least {low:,}."
        if low is not None
        else f" At most {high:,}."
    )
    whole = field.kind == "integer"
    kind = int if whole else float
    return st.number_input(
        field.label,
        min_value=None if low is None else kind(low),
        max_value=None if high is None else kind(high),
        value=start,
        step=kind(field.step or 1) if whole else float(field.step or fine(field)),
        format="%d" if whole else "%g",
        help=f"{field.help}{span}".strip() or None,
        key=key,
        placeholder=empty,
    )


def fine(field: Field) -> float:
    """A step that suits the range."""
    if field.minimum is None or field.maximum is None:
        return 1.0
    wide = field.maximum - field.minimum
    return 0.01 if wide <= 2 else 0.1 if wide <= 200 else 1.0 if wide <= 10_000 else 100.0


def _series(series: Sequence[Field], given: dict[str, Any], key: str) -> dict[str, Any]:
    """All series side by side, one line per position: they belong together."""
    lists = {field.name: list(given.get(field.name) or []) for field in series}
    longest = max(map(len, lists.values()))
    table = pd.DataFrame({name: pd.Series([*values, *[None] * (longest - len(values))], dtype=object) for name, values in lists.items()})
    shown = {field.name: _column(field) for field in series}
    st.caption("Paste from a spreadsheet, or edit below; one line per position, oldest first.")
    edited = st.data_editor(table, num_rows="dynamic", column_config=shown, hide_index=True, height=280, key=f"{key} series", alt="Series of the row")
    return {field.name: [_cell(field, value) for value in edited[field.name] if not pd.isna(value)] for field in series}


def _column(field: Field) -> Any:
    if field.item == "text":
        return st.column_config.TextColumn(field.label, help=field.help)
    return st.column_config.NumberColumn(
        field.label, help=field.help, step=1 if field.item == "integer" else None, format="%d" if field.item == "integer" else "%g"
    )


def _cell(field: Field, value: Any) -> Any:
    return str(value) if field.item == "text" else int(value) if field.item == "integer" else float(value)


def _json(field: Field, given: dict[str, Any], key: str, row: dict[str, Any], wrong: list[str]) -> None:
    start = given.get(field.name, field.default)
    text = st.text_area(
        field.label, value="" if start is ABSENT else json.dumps(start), help=f"{field.help} Written as JSON.".strip(), key=f"{key} {field.name}"
    )
    if not text.strip():
        _put(field, None, row, wrong)
        return
    try:
        row[field.name] = json.loads(text)
    except ValueError:
        wrong.append(f"**{field.title}** is not valid JSON.")
