"""What can go wrong between Timonel and its database."""

from timonel.errors import Corrupt, NotFound, ProjectFault, Text, Unavailable, closest


class StoreUnavailable(Unavailable):
    """The database cannot be reached, opened, locked or written at the moment."""

    code = "store_unavailable"
    texts = {
        "en": Text(
            "Cannot use the database {database}: {detail}.",
            "Check that it runs, that this host may reach it and that its disk has room; "
            "`timonel doctor` tries each. Then repeat what you did.",
        ),
        "es": Text(
            "No se puede usar la base de datos {database}: {detail}.",
            "Revise que esté en marcha, que este equipo pueda alcanzarla y que su disco tenga "
            "espacio; `timonel doctor` lo prueba. Luego repita la operación.",
        ),
    }


class StoreCorrupt(Corrupt):
    """The file is no SQLite database, or a damaged one."""

    code = "store_corrupt"
    texts = {
        "en": Text(
            "Cannot read the database {database}: {detail}.",
            "Move the file away and restore a backup in its place, or let `timonel up` "
            "make a new one.",
        ),
        "es": Text(
            "No se puede leer la base de datos {database}: {detail}.",
            "Mueva el archivo y restaure un respaldo en su lugar, o deje que `timonel up` "
            "cree una nueva.",
        ),
    }


class UnsupportedDatabase(ProjectFault):
    """A database URL of a kind that Timonel does not run on."""

    code = "unsupported_database"
    texts = {
        "en": Text(
            "Cannot use the database URL {url}: found {found}, expected a SQLite file "
            "(sqlite:///path/to/timonel.db) or PostgreSQL (postgresql://user@host/name).",
            "Set TIMONEL_DATABASE_URL or `database_url` in timonel.toml to one of these, or "
            "leave it out to use SQLite.",
        ),
        "es": Text(
            "No se puede usar la URL de base de datos {url}: hay {found}, se esperaba un archivo "
            "SQLite (sqlite:///ruta/timonel.db) o PostgreSQL (postgresql://usuario@host/nombre).",
            "Defina TIMONEL_DATABASE_URL o `database_url` en timonel.toml con una de ellas, o "
            "quítela para usar SQLite.",
        ),
    }


class DriverMissing(ProjectFault):
    """The URL names PostgreSQL, and its driver is not installed."""

    code = "driver_missing"
    texts = {
        "en": Text(
            "Cannot use PostgreSQL: the driver psycopg is not installed.",
            "Run `pip install 'timonel[postgres]'`; in a serving-only installation "
            "`pip install 'timonel-serve[postgres]'`.",
        ),
        "es": Text(
            "No se puede usar PostgreSQL: el controlador psycopg no está instalado.",
            "Ejecute `pip install 'timonel[postgres]'`; en una instalación solo para servir, "
            "`pip install 'timonel-serve[postgres]'`.",
        ),
    }


class SchemaOlder(ProjectFault):
    """The database has not got this version's tables yet."""

    code = "schema_older"
    texts = {
        "en": Text(
            "Cannot use the database {database}: its schema is {found}, this Timonel "
            "expects {expected}.",
            "Run `timonel db upgrade` (or `timonel up`, which does it too).",
        ),
        "es": Text(
            "No se puede usar la base de datos {database}: su esquema es {found}, este Timonel "
            "espera {expected}.",
            "Ejecute `timonel db upgrade` (o `timonel up`, que también lo hace).",
        ),
    }


class SchemaNewer(ProjectFault):
    """A newer Timonel has upgraded the database."""

    code = "schema_newer"
    texts = {
        "en": Text(
            "Cannot use the database {database}: its schema is {found}, made by a newer Timonel; "
            "this one knows up to {expected}.",
            "Run `pip install --upgrade timonel`, or point TIMONEL_DATABASE_URL at another "
            "database.",
        ),
        "es": Text(
            "No se puede usar la base de datos {database}: su esquema es {found}, hecho por un "
            "Timonel más nuevo; este conoce hasta {expected}.",
            "Ejecute `pip install --upgrade timonel`, o apunte TIMONEL_DATABASE_URL a otra base "
            "de datos.",
        ),
    }


class UnknownProject(NotFound):
    """The database holds nothing of this project."""

    code = "unknown_project"
    texts = {
        "en": Text(
            "Cannot find project {project} in the database: it holds {known_text}.",
            "Run `timonel up` in the project's folder, which enters it, or correct the database "
            "URL.",
        ),
        "es": Text(
            "No se encuentra el proyecto {project} en la base de datos: contiene {known_text}.",
            "Ejecute `timonel up` en la carpeta del proyecto, que lo inscribe, o corrija la URL "
            "de la base de datos.",
        ),
    }

    def __init__(self, *, project: str, known: list[str], **_: str) -> None:
        super().__init__(project=project, known=known, known_text=closest(project, known))
