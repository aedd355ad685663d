"""What can be wrong with a table of data: its file, its form, its cells.

``line`` is the line in the file as an editor counts it (in a workbook, the row; in Parquet and
SQL, the row counted from 1).
"""

from timonel.errors import ProjectFault, Text


class MissingFile(ProjectFault):
    """A file of data does not exist or may not be read."""

    code = "missing_file"
    texts = {
        "en": Text(
            "Cannot read {path}: {found}.",
            "Correct the path (a relative one begins in the project's folder), or put the file "
            "there.",
        ),
        "es": Text(
            "No se puede leer {path}: {found}.",
            "Corrija la ruta (una relativa parte en la carpeta del proyecto), o ponga ahí el "
            "archivo.",
        ),
    }


class UnreadableFile(ProjectFault):
    """The bytes are not of the kind the file claims to be."""

    code = "unreadable_file"
    texts = {
        "en": Text(
            "Cannot read {path} as {expected}: {found}.",
            "Save or copy the file again (it may be cut off), or give it the ending of what it is: "
            ".csv, .xlsx or .parquet.",
        ),
        "es": Text(
            "No se puede leer {path} como {expected}: {found}.",
            "Guarde o copie el archivo de nuevo (puede estar cortado), o déle la extensión de lo "
            "que es: .csv, .xlsx o .parquet.",
        ),
    }


class WrongEncoding(ProjectFault):
    """Bytes that the encoding does not have."""

    code = "wrong_encoding"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}: found the byte {found}, which is no {encoding} text.",
            "Save the file as 'CSV UTF-8' and try again, or name its encoding: "
            "`--encoding cp1252` (Windows) or `--encoding latin-1`.",
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}: hay un byte {found}, que no es texto "
            "{encoding}.",
            "Guarde el archivo como 'CSV UTF-8' e intente de nuevo, o nombre su codificación: "
            "`--encoding cp1252` (Windows) o `--encoding latin-1`.",
        ),
    }


class NulByte(ProjectFault):
    """A NUL byte in a text file."""

    code = "nul_byte"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}, column {column}: found a NUL byte, expected text.",
            "The file is damaged or not a CSV: export it again from where it came.",
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}, columna {column}: hay un byte NUL, se esperaba "
            "texto.",
            "El archivo está dañado o no es un CSV: expórtelo otra vez desde su origen.",
        ),
    }


class EmptyTable(ProjectFault):
    """No header, or a header and no rows."""

    code = "empty_table"
    texts = {
        "en": Text(
            "Cannot use {path}: found {n_lines} line(s) of text and no row of data, expected a "
            "header line and rows under it.",
            "Export the data again, or name the right file, sheet or query.",
        ),
        "es": Text(
            "No se puede usar {path}: hay {n_lines} línea(s) de texto y ninguna fila de datos, se "
            "esperaba una línea de encabezado y filas debajo.",
            "Exporte los datos de nuevo, o nombre el archivo, la hoja o la consulta correcta.",
        ),
    }


class RaggedRow(ProjectFault):
    """A row with more or fewer cells than the header."""

    code = "ragged_row"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}: found {found} cells (the last in column {column!r}: "
            "{value!r}), expected {expected} as in the header.",
            "Correct that line: a text that holds the separator {separator!r} must be in double "
            'quotes ("..."); if it is the last line, the file may be cut off: export it again.',
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}: hay {found} celdas (la última en la columna "
            "{column!r}: {value!r}), se esperaban {expected} como en el encabezado.",
            "Corrija esa línea: un texto que contiene el separador {separator!r} debe ir entre "
            'comillas dobles ("..."); si es la última línea, el archivo puede estar cortado: '
            "expórtelo de nuevo.",
        ),
    }


class BrokenQuotes(ProjectFault):
    """A double quote that is not closed, or closed in the middle of a cell."""

    code = "broken_quotes"
    texts = {
        "en": Text(
            "Cannot read {path}: the row that begins in line {line}, column {column!r}, opens a "
            "double quote that is not closed rightly; found {found!r}.",
            'Close the quote, or double it inside a text (""); if it is the last row, the file may '
            "be cut off: export it again.",
        ),
        "es": Text(
            "No se puede leer {path}: la fila que comienza en la línea {line}, columna {column!r}, "
            "abre una comilla doble que no se cierra bien; hay {found!r}.",
            'Cierre la comilla, o duplíquela dentro de un texto (""); si es la última fila, el '
            "archivo puede estar cortado: expórtelo de nuevo.",
        ),
    }


class HugeCell(ProjectFault):
    """A cell longer than any honest one."""

    code = "huge_cell"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}, column {column!r}: found a cell of over {found} "
            "characters beginning {value!r}, expected at most {expected}.",
            "Usually a double quote is not closed in that line: close it, or cut the text.",
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}, columna {column!r}: hay una celda de más de "
            "{found} caracteres que comienza {value!r}, se esperaban a lo más {expected}.",
            "Por lo general falta cerrar una comilla doble en esa línea: ciérrela, o acorte el "
            "texto.",
        ),
    }


class DuplicateColumns(ProjectFault):
    """Two columns with one name."""

    code = "duplicate_columns"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}: the column name {column!r} stands at positions "
            "{positions}; expected each name once.",
            "Rename one of them in the header.",
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}: el nombre de columna {column!r} está en las "
            "posiciones {positions}; se esperaba cada nombre una vez.",
            "Cambie el nombre de una en el encabezado.",
        ),
    }


class OneColumn(ProjectFault):
    """The separator leaves a single column."""

    code = "one_column"
    texts = {
        "en": Text(
            "Cannot use {path}: line {line} gives a single column {column!r} with the separator "
            "{separator!r}; expected two columns or more. {hint_en}",
            "Name the separator that the file uses: `--separator ';'` (or ',', '|', 'tab').",
        ),
        "es": Text(
            "No se puede usar {path}: la línea {line} da una sola columna {column!r} con el "
            "separador {separator!r}; se esperaban dos columnas o más. {hint_es}",
            "Nombre el separador que usa el archivo: `--separator ';'` (o ',', '|', 'tab').",
        ),
    }


class BadCell(ProjectFault):
    """A cell that does not fit its column's kind."""

    code = "bad_cell"
    texts = {
        "en": Text(
            "Cannot read {path}, line {line}, column {column!r}: found {found!r}, expected "
            "{expected_en} ({n_bad} of {n} cells do not fit).",
            "Correct the cell; if it means 'missing', say `--missing {found!r}`; if the column is "
            "text after all, say `--kind {column}=text` (in a model: columns={{{column!r}: "
            "'text'}}).",
        ),
        "es": Text(
            "No se puede leer {path}, línea {line}, columna {column!r}: hay {found!r}, se esperaba "
            "{expected_es} ({n_bad} de {n} celdas no cumplen).",
            "Corrija la celda; si significa 'sin dato', diga `--missing {found!r}`; si la columna "
            "es texto, diga `--kind {column}=text` (en un modelo: columns={{{column!r}: "
            "'text'}}).",
        ),
    }


class AmbiguousDates(ProjectFault):
    """Dates that could be day first or month first."""

    code = "ambiguous_dates"
    texts = {
        "en": Text(
            "Cannot read the dates of column {column!r} in {path}: {found!r} (line {line}) may be "
            "day/month or month/day, and nothing in the file settles it.",
            "Say which: `--date-format {column}={first}` (day first) or "
            "`--date-format {column}={second}` (month first); in a model: "
            "dates={{{column!r}: {first!r}}}.",
        ),
        "es": Text(
            "No se pueden leer las fechas de la columna {column!r} en {path}: {found!r} (línea "
            "{line}) puede ser día/mes o mes/día, y nada en el archivo lo aclara.",
            "Diga cuál: `--date-format {column}={first}` (día primero) o "
            "`--date-format {column}={second}` (mes primero); en un modelo: "
            "dates={{{column!r}: {first!r}}}.",
        ),
    }


class MixedDates(ProjectFault):
    """One column with day-first and month-first dates."""

    code = "mixed_dates"
    texts = {
        "en": Text(
            "Cannot read the dates of column {column!r} in {path}: line {line} has {found!r} (day "
            "first) and line {other_line} has {other!r} (month first).",
            "Write the column in one form, best 2024-12-31; or leave it out: `--exclude {column}`.",
        ),
        "es": Text(
            "No se pueden leer las fechas de la columna {column!r} en {path}: la línea {line} "
            "tiene {found!r} (día primero) y la línea {other_line} tiene {other!r} (mes primero).",
            "Escriba la columna en una sola forma, ojalá 2024-12-31; o déjela fuera: "
            "`--exclude {column}`.",
        ),
    }


class AmbiguousNumbers(ProjectFault):
    """Numbers whose mark could be a decimal or a thousands mark."""

    code = "ambiguous_numbers"
    texts = {
        "en": Text(
            "Cannot read the numbers of column {column!r} in {path}: {found!r} (line {line}) may "
            "be thousands or decimals, and nothing in the file settles it.",
            "Say which mark is the decimal one: `--decimal ,` or `--decimal .`.",
        ),
        "es": Text(
            "No se pueden leer los números de la columna {column!r} en {path}: {found!r} (línea "
            "{line}) puede llevar miles o decimales, y nada en el archivo lo aclara.",
            "Diga cuál es el signo decimal: `--decimal ,` o `--decimal .`.",
        ),
    }


class UnknownColumn(ProjectFault):
    """A column that the table does not have."""

    code = "unknown_column"
    texts = {
        "en": Text(
            "Cannot find the column {column!r} in {path}; it has {known}.",
            "Correct the name; upper and lower case matter.",
        ),
        "es": Text(
            "No se encuentra la columna {column!r} en {path}; tiene {known}.",
            "Corrija el nombre; importan mayúsculas y minúsculas.",
        ),
    }


class InvalidDialect(ProjectFault):
    """An option of reading that no file can have."""

    code = "invalid_dialect"
    texts = {
        "en": Text(
            "Cannot read {path}: {option} is {found!r}; expected {expected}.",
            "Correct `--{option}` (in a model: the argument of the source), or leave it out: it is "
            "then found by evidence.",
        ),
        "es": Text(
            "No se puede leer {path}: {option} es {found!r}; se esperaba {expected}.",
            "Corrija `--{option}` (en un modelo: el argumento de la fuente), u omítalo: entonces "
            "se averigua por evidencia.",
        ),
    }


class UnknownKind(ProjectFault):
    """A kind of column that does not exist."""

    code = "unknown_kind"
    texts = {
        "en": Text(
            "Cannot read the column {column!r} as {kind!r}; the kinds are {known}.",
            "Name one of them: `--kind {column}=text`.",
        ),
        "es": Text(
            "No se puede leer la columna {column!r} como {kind!r}; los tipos son {known}.",
            "Nombre uno de ellos: `--kind {column}=text`.",
        ),
    }


class UnreadableQuery(ProjectFault):
    """The database cannot be reached, or refuses the query."""

    code = "unreadable_query"
    texts = {
        "en": Text(
            "Cannot read from {url}: {found}.",
            "Check the address, the password and the query ({query}); it must give rows.",
        ),
        "es": Text(
            "No se puede leer desde {url}: {found}.",
            "Revise la dirección, la clave y la consulta ({query}); debe dar filas.",
        ),
    }


class MissingVariable(ProjectFault):
    """A source's address is to come from an environment variable that is not set."""

    code = "missing_variable"
    texts = {
        "en": Text(
            "Cannot read from the database: the environment variable {name} is not set.",
            "Set it: `export {name}='postgresql://user:password@host/database'`.",
        ),
        "es": Text(
            "No se puede leer de la base de datos: la variable de entorno {name} no está definida.",
            "Defínala: `export {name}='postgresql://usuario:clave@servidor/base'`.",
        ),
    }


class UnsupportedSource(ProjectFault):
    """A file or an object that no reader knows."""

    code = "unsupported_source"
    texts = {
        "en": Text(
            "Cannot read {path}: found {found}, expected {expected}.",
            "Save the table as CSV, xlsx or Parquet, or read it with a function that returns a "
            "DataFrame.",
        ),
        "es": Text(
            "No se puede leer {path}: hay {found}, se esperaba {expected}.",
            "Guarde la tabla como CSV, xlsx o Parquet, o léala con una función que devuelva un "
            "DataFrame.",
        ),
    }


class FailedSource(ProjectFault):
    """A callable source raised an error of its own."""

    code = "failed_source"
    texts = {
        "en": Text(
            "Cannot read the data: the function {function} failed in {file}, line {line}: {found}.",
            "Correct that line of the project and run the command again.",
        ),
        "es": Text(
            "No se pueden leer los datos: la función {function} falló en {file}, línea {line}: "
            "{found}.",
            "Corrija esa línea del proyecto y repita el comando.",
        ),
    }
