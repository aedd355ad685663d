"""The text of the files that ``timonel init`` writes."""

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from timonel.project.sources import Csv, Excel, Parquet, Sql
from timonel.project.survey import Split, Survey
from timonel.project.tables import FileTable
from timonel.schema.features import Category, Feature, Number, Text
from timonel.schema.inference import Decision
from timonel.schema.inference_texts import sentence

WORDS: dict[str, dict[str, str]] = {
    "header": {
        "en": "Predict {target} from {n} columns of {origin}.\n\nWritten by `timonel init`; it is "
        "yours to edit. Why each column is as it is: timonel.init.txt.",
        "es": "Predice {target} con {n} columnas de {origin}.\n\nEscrito por `timonel init`; "
        "edítelo a gusto. Por qué cada columna quedó así: timonel.init.txt.",
    },
    "columns": {
        "en": "only these are read, each as this kind",
        "es": "solo se leen estas, cada una de este tipo",
    },
    "seen": {"en": "{low:.12g} to {high:.12g} seen", "es": "visto de {low:.12g} a {high:.12g}"},
    "aside": {"en": "Not inputs, and why:", "es": "No son entradas, y por qué:"},
    "fallback": {
        "en": '"rules:example" once rules.py has it; None: the baseline answers',
        "es": '"rules:example" cuando rules.py la tenga; None: responde la línea base',
    },
    "recipe": {
        "en": "or recipes.xgboost(), a function (X, y, seed) ...",
        "es": "o recipes.xgboost(), una función (X, y, seed) ...",
    },
    "positive": {
        "en": "the class whose probability is the score",
        "es": "la clase cuya probabilidad es el score",
    },
    "key": {
        "en": "outcomes may name a prediction by it; source=Sql(...) fetches them",
        "es": "con él se nombra una predicción; source=Sql(...) trae sola la verdad",
    },
    "time": {
        "en": "the holdout is the newest part",
        "es": "se evalúa en la parte más nueva",
    },
    "group": {
        "en": "its rows never lie on both sides of a split",
        "es": "sus filas nunca quedan a ambos lados de una división",
    },
    "few": {
        "en": "the table has only {n} labelled rows; the default is 200",
        "es": "la tabla tiene solo {n} filas con resultado; lo habitual es 200",
    },
    "rules_doc": {
        "en": "Rules: what answers when no model can. Plain Python; nothing is invented.\n\nA rule "
        "gets the validated row (None: missing) and gives an Answer. To use the example, take the "
        '"# " away and set fallback="rules:example" in model.py.',
        "es": "Reglas: lo que responde cuando no puede un modelo. Python simple; nada se "
        "inventa.\n\nUna regla recibe la fila validada (None: sin dato) y da un Answer. Para usar "
        'el ejemplo, quite los "# " y ponga fallback="rules:example" en model.py.',
    },
    "rules_note": {
        "en": "Measured on the data: {column} {test}: {yes} ({yes_share:.0%}); else {no} "
        "({no_share:.0%}).",
        "es": "Medido en los datos: {column} {test}: {yes} ({yes_share:.0%}); si no, {no} "
        "({no_share:.0%}).",
    },
    "rules_number": {
        "en": "Medians in the data: {yes:.12g} where {column} {test}, else {no:.12g}.",
        "es": "Medianas en los datos: {yes:.12g} donde {column} {test}, si no {no:.12g}.",
    },
    "toml_zone": {
        "en": "times without an offset, schedules and days are of this zone",
        "es": "las horas sin desfase, los horarios y los días son de esta zona",
    },
    "toml_settings": {
        "en": "any setting of Timonel; TIMONEL_<NAME> in the environment goes before",
        "es": "cualquier ajuste de Timonel; antes vale TIMONEL_<NOMBRE> en el entorno",
    },
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the files are written from."""

    name: str
    target: str
    origin: str
    timezone: str
    language: str
    survey: Survey
    split: Split | None

    def say(self, key: str, **facts: Any) -> str:
        """Give a text in the project's language."""
        return WORDS[key][self.language].format(**facts)

    @property
    def variable(self) -> str:
        """The Python name of the model."""
        name = self.name.replace("-", "_")
        taken = {"schema", "source", "recipes", "model", "os", "import", "class", "print"}
        return f"{name}_model" if name in taken or not name.isidentifier() else name


def literal(value: Any) -> str:
    """Write a value as Python source with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


# --- model.py


def model_py(plan: Plan) -> str:
    """Write the module that declares the model."""
    inference = plan.survey.inference
    kinds = {type(feature).__name__ for feature in inference.schema}
    names = {"Model", "Outcome", "Policy", "Schema", "recipes", type(plan.survey.source).__name__}
    if inference.key is None:
        names.discard("Outcome")
    imports = sorted(kinds | names, key=lambda name: (name.islower(), name))
    header = (
        plan.say("header", target=plan.target, n=len(inference.schema), origin=plan.origin)
        .replace("\\", "/")
        .replace('"""', "'''")
    )
    return "\n".join(
        [
            _docstring(header),
            "",
            _imports(imports),
            "",
            *_source(plan),
            "",
            "schema = Schema(",
            *(_feature(plan, feature) for feature in inference.schema),
            ")",
            "",
            *_left_out(plan),
            *_model(plan),
            "",
        ]
    )


def _docstring(text: str) -> str:
    paragraphs = [textwrap.fill(part, 96) for part in text.split("\n\n")]
    return '"""' + "\n\n".join(paragraphs) + '\n"""'


def _imports(names: list[str]) -> str:
    line = f"from timonel import {', '.join(names)}"
    if len(line) <= 100:
        return line
    return "from timonel import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def _source(plan: Plan) -> list[str]:
    source = plan.survey.source
    lines = [f"source = {type(source).__name__}("]
    if isinstance(source, Sql):
        lines += [f"    {literal(source.query)},", f"    url={literal(source.url)},"]
    elif isinstance(source, FileTable):
        lines.append(f"    {literal(str(source.path))},")
    extra = {
        Csv: ("encoding", "separator"),
        Excel: ("sheet",),
        Parquet: (),
        Sql: (),
    }[type(source)]
    for name in (*extra, "decimal", "thousands", "true", "false", "missing"):
        value = getattr(source, name)
        if value not in (None, ()):
            lines.append(f"    {name}={literal(value)},")
    for name in ("decimals", "dates"):
        if getattr(source, name):
            lines += _mapping(name, getattr(source, name))
    lines += _mapping("columns", source.columns or {}, plan.say("columns"))
    return [*lines, ")"]


def _mapping(name: str, values: Mapping[str, str], comment: str = "") -> list[str]:
    head = f"    {name}={{" + (f"  # {comment}" if comment else "")
    return [
        head,
        *(f"        {literal(key)}: {literal(value)}," for key, value in values.items()),
        "    },",
    ]


def _feature(plan: Plan, feature: Feature) -> str:
    decision = plan.survey.inference.decision(feature.name)
    kind = type(feature).__name__
    said = [] if feature.required else ["required=False"]
    words: list[str] = []
    if isinstance(feature, Number):
        said += [
            f"{side}={getattr(feature, side):.15g}"
            for side in ("ge", "le")
            if getattr(feature, side) is not None
        ]
    elif isinstance(feature, Category):
        words = [literal(word) for word in feature.values]
        said.append('unseen="accept"')
    elif isinstance(feature, Text) and feature.max_length != 10_000:
        said.append(f"max_length={feature.max_length}")
    listed = f"[{', '.join(words)}]"
    parts = [literal(feature.name), *([listed] if words else []), *said]
    line = f"    {kind}({', '.join(parts)}),"
    if len(line) > 100 and words:
        line = "\n".join(
            [
                f"    {kind}(",
                f"        {literal(feature.name)},",
                "        [",
                textwrap.indent(_unbroken(words), " " * 12) + ",",
                "        ],",
                *(f"        {part}," for part in said),
                "    ),",
            ]
        )
    return _commented(plan, decision, line)


def _unbroken(words: Iterable[str]) -> str:
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) > 84:
            lines.append(line.rstrip())
            line = ""
        line += f"{word}, "
    return "\n".join([*lines, line.rstrip().removesuffix(",")])


def _commented(plan: Plan, decision: Decision, line: str) -> str:
    warnings = [
        textwrap.fill(text, 94, initial_indent="    # ", subsequent_indent="    # ")
        for text in (
            sentence(remark.code, plan.language, remark.facts)
            for remark in decision.remarks
            if remark.code.startswith(("strong", "mostly", "kept", "rare_words"))
        )
    ]
    if decision.kind == "number" and "\n" not in line:
        facts = decision.reason.facts
        note = plan.say("seen", low=facts["low"], high=facts["high"])
        if len(line) + len(note) + 4 <= 100:
            line = f"{line}  # {note}"
    return "\n".join([*warnings, line])


def _left_out(plan: Plan) -> list[str]:
    lines: list[str] = []
    for decision in plan.survey.inference.decisions:
        if decision.used or decision.kind == "target":
            continue
        text = f"{decision.name}: {decision.explain(plan.language)}"
        lines.append(
            textwrap.fill(
                " ".join(text.split()), 98, initial_indent="# - ", subsequent_indent="#   "
            )
        )
    return [f"# {plan.say('aside')}", *lines, ""] if lines else []


def _model(plan: Plan) -> list[str]:
    inference = plan.survey.inference
    said: list[tuple[str, str]] = [
        (f"name={literal(plan.name)}", ""),
        (f"task={literal(inference.task)}", ""),
        (f"target={literal(plan.target)}", ""),
        ("schema=schema", ""),
        ("source=source", ""),
        ("recipe=recipes.automatic()", plan.say("recipe")),
        ("fallback=None", plan.say("fallback")),
    ]
    if inference.positive is not None:
        said.append((f"positive={literal(inference.positive)}", plan.say("positive")))
    if inference.key is not None:
        key = f'outcome=Outcome(key={literal(inference.key)}, horizon="30d")'
        said.append((key, plan.say("key")))
    if inference.time is not None:
        said.append((f"time={literal(inference.time)}", plan.say("time")))
    if inference.group is not None:
        said.append((f"group={literal(inference.group)}", plan.say("group")))
    few = inference.n_rows < 200
    least = max(10, inference.n_rows // 2) if few else 200
    note = plan.say("few", n=inference.n_rows) if few else ""
    said.append((f'policy=Policy(min_samples={least}, approval="manual")', note))
    body = []
    for code, why in said:
        line = f"    {code}," + (f"  # {why}" if why else "")
        body += [line] if len(line) <= 100 else [f"    # {why}", f"    {code},"]
    return [f"{plan.variable} = Model(", *body, ")"]


# --- the other files


def rules_py(plan: Plan) -> str:
    """Write the rules module: one commented example that fits the schema."""
    lines = [_docstring(plan.say("rules_doc")), "", "from timonel import Answer  # noqa: F401", ""]
    split = plan.split
    lines.append("# def example(row):")
    if split is None:
        lines.append(f"#     return Answer({literal(_usual(plan))})")
        return "\n".join([*lines, ""])
    facts = {
        "column": split.column,
        "test": split.test,
        "yes": split.yes,
        "no": split.no,
        "yes_share": split.yes_share,
        "no_share": split.no_share,
    }
    number = plan.survey.inference.task == "regression"
    note = plan.say("rules_number" if number else "rules_note", **facts).replace('"', "'")
    score = "" if number else ", score={}"
    lines += [
        f"#     # {' '.join(note.split())}",
        f"#     value = row[{literal(split.column)}]",
        f"#     if value is not None and value {split.test}:",
        f"#         return Answer({literal(split.yes)}{score.format(split.yes_share)})",
        f"#     return Answer({literal(split.no)}{score.format(split.no_share)})",
        "",
    ]
    return "\n".join(lines)


def _usual(plan: Plan) -> Any:
    classes = plan.survey.inference.classes
    if classes:
        return max(classes, key=classes.__getitem__)
    truth = plan.survey.frame[plan.target].cast(pl.Float64)
    return float(f"{truth.quantile(0.5) or 0:.4g}")


def timonel_toml(plan: Plan) -> str:
    """Write the project's file of settings."""
    return "\n".join(
        [
            "[project]",
            f"name = {literal(plan.name)}",
            f"timezone = {literal(plan.timezone)}  # {plan.say('toml_zone')}",
            f"language = {literal(plan.language)}",
            'models = ["model"]',
            "",
            f"[settings]  # {plan.say('toml_settings')}",
            "# port = 8000",
            "# workers = 1",
            '# database_url = "postgresql+psycopg://localhost/timonel"',
            "",
        ]
    )


def sample_request(plan: Plan) -> str:
    """Write a request that works: the first complete row, with an invented key."""
    inference = plan.survey.inference
    frame = plan.survey.frame.select(inference.schema.names)
    complete = frame.filter(pl.all_horizontal(pl.all().is_not_null()))
    row = (complete if complete.height else frame).row(0, named=True)
    inputs = {name: _json_value(value) for name, value in row.items() if value is not None}
    if inference.key is not None:
        inputs[inference.key] = "EXAMPLE-1"
    return json.dumps({"inputs": inputs}, ensure_ascii=False, indent=2) + "\n"


def _json_value(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


GITIGNORE = ".timonel/\nlogs/\n__pycache__/\n*.pyc\n.env\n"


def readme(plan: Plan) -> str:
    """Write the project's README."""
    source = plan.survey.source
    env = ""
    if isinstance(source, Sql) and source.url.startswith("env:"):
        env = f"export {source.url[4:]}='postgresql://user:password@host/database'\n"
    return _README[plan.language].format(
        name=plan.name, target=plan.target, origin=plan.origin, env=env
    )


_README = {
    "en": """# {name}

Predicts `{target}` from {origin}.

```
{env}timonel up
curl -s -H 'content-type: application/json' -d @sample_request.json \\
  http://127.0.0.1:8000/v1/models/{name}/predict
```

`timonel up` trains the first version, serves it and stores every prediction under `.timonel/`.

| file | what it is |
|---|---|
| `model.py` | the declaration: source, schema, recipe, policy; edit it |
| `rules.py` | what answers without a model; has an example to edit |
| `timonel.toml` | name, time zone, settings |
| `timonel.init.txt` | what `timonel init` decided on each column, and why |
| `sample_request.json` | a request that works |
""",
    "es": """# {name}

Predice `{target}` a partir de {origin}.

```
{env}timonel up
curl -s -H 'content-type: application/json' -d @sample_request.json \\
  http://127.0.0.1:8000/v1/models/{name}/predict
```

`timonel up` entrena la primera versión, la sirve y guarda cada predicción en `.timonel/`.

| archivo | qué es |
|---|---|
| `model.py` | la declaración: fuente, esquema, receta, política; edítelo |
| `rules.py` | lo que responde sin un modelo; trae un ejemplo para editar |
| `timonel.toml` | nombre, zona horaria, ajustes |
| `timonel.init.txt` | qué decidió `timonel init` sobre cada columna, y por qué |
| `sample_request.json` | una petición que funciona |
""",
}
