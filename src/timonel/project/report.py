"""What ``timonel init`` decided, as plain text."""

import textwrap
from collections.abc import Iterator

from timonel.project.sources import Csv, Excel
from timonel.project.survey import Survey
from timonel.schema.inference import Decision
from timonel.schema.inference_texts import sentence

_WIDTH = 100
_TEXTS = {
    "title": {
        "en": "Model {model} predicts {target} ({task}) from {n_used} of {n_columns} columns, "
        "{n_rows} rows of {origin}.",
        "es": "El modelo {model} predice {target} ({task}) con {n_used} de {n_columns} columnas, "
        "{n_rows} filas de {origin}.",
    },
    "dropped": {
        "en": "{n_dropped} rows have no target and are not used.",
        "es": "{n_dropped} filas no tienen objetivo y no se usan.",
    },
    "read_as": {"en": "Read as: {dialect}.", "es": "Leído como: {dialect}."},
    "key": {
        "en": "Outcomes can name predictions by {key}.",
        "es": "Los resultados pueden nombrar predicciones por {key}.",
    },
    "time": {
        "en": "The newest rows by {time} are the holdout.",
        "es": "Se evalúa con las filas más nuevas según {time}.",
    },
    "group": {
        "en": "Rows of one {group} stay on one side of a split.",
        "es": "Las filas de un mismo {group} quedan a un solo lado de una división.",
    },
    "column": {"en": "column", "es": "columna"},
    "kind": {"en": "kind", "es": "tipo"},
    "decided": {"en": "what was decided, and why", "es": "qué se decidió, y por qué"},
}
_KINDS = {
    "number": "número",
    "category": "categoría",
    "flag": "sí/no",
    "timestamp": "momento",
    "text": "texto",
    "target": "objetivo",
    "id": "id",
    "constant": "constante",
    "empty": "vacía",
    "clock": "hora",
    "words": "palabras",
    "suspicious": "apartada",
    "excluded": "excluida",
}


def render(model: str, target: str, origin: str, survey: Survey, lang: str) -> str:
    """Give the report: a heading, how the file was read, and a table with a row a column."""
    inference = survey.inference
    facts = {
        "model": model,
        "target": target,
        "origin": origin,
        "task": inference.task,
        "n_used": len(inference.schema),
        "n_columns": len(inference.decisions),
        "n_rows": inference.n_rows,
        "n_dropped": inference.n_dropped,
        "dialect": _dialect(survey),
        "key": inference.key,
        "time": inference.time,
        "group": inference.group,
    }
    said = ["title", "read_as"]
    said += ["dropped"] if inference.n_dropped else []
    said += [name for name in ("key", "time", "group") if facts[name] is not None]
    heading = [textwrap.fill(_TEXTS[key][lang].format(**facts), _WIDTH) for key in said]
    return "\n".join([*heading, "", *_table(survey, lang), ""])


def _dialect(survey: Survey) -> str:
    source = survey.source
    parts = [type(source).__name__]
    if isinstance(source, Csv):
        parts += [str(source.encoding), f"separator {source.separator!r}"]
    if isinstance(source, Excel):
        parts.append(f"sheet {source.sheet!r}")
    if source.decimal:
        parts.append(f"decimal {source.decimal!r}")
    if source.thousands:
        parts.append(f"thousands {source.thousands!r}")
    parts += [f"{name} {form}" for name, form in source.dates.items()]
    return ", ".join(parts)


def _table(survey: Survey, lang: str) -> Iterator[str]:
    decisions = survey.inference.decisions
    wide = min(30, max(len(d.name) for d in decisions))
    wide = max(wide, len(_TEXTS["column"][lang]))
    kinds = {d.kind: d.kind if lang == "en" else _KINDS[d.kind] for d in decisions}
    kind_wide = max(len(kind) for kind in [*kinds.values(), _TEXTS["kind"][lang]])
    rest = _WIDTH - wide - kind_wide - 4
    heads = [_TEXTS[name][lang] for name in ("column", "kind", "decided")]
    yield f"{heads[0]:<{wide}}  {heads[1]:<{kind_wide}}  {heads[2]}"
    yield f"{'-' * wide}  {'-' * kind_wide}  {'-' * rest}"
    for decision in decisions:
        text = _explained(decision, survey, lang)
        lines = textwrap.wrap(" ".join(text.split()), rest) or [""]
        name = decision.name
        if len(name) > wide:
            yield name
            name = ""
        yield f"{name:<{wide}}  {kinds[decision.kind]:<{kind_wide}}  {lines[0]}".rstrip()
        for line in lines[1:]:
            yield f"{'':<{wide}}  {'':<{kind_wide}}  {line}"


def _explained(decision: Decision, survey: Survey, lang: str) -> str:
    notes = [
        sentence(note.code, lang, note.facts)
        for note in survey.notes
        if note.column == decision.name
    ]
    return " ".join([decision.explain(lang), *notes])
