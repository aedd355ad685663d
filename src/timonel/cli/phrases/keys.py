"""The sentences of ``timonel key``."""

KEY_TEXTS: dict[str, dict[str, str]] = {
    "first_key": {
        "en": "No key was set, and other machines are to reach this server. A first key, with the "
        "role admin, is shown here once and stored nowhere:\n\n  {secret}\n\nSend it as "
        "`Authorization: Bearer KEY`; make others with `timonel key create`, then revoke it: "
        "`timonel key revoke first-admin`.",
        "es": "No había ninguna clave, y otros equipos han de alcanzar este servidor. Una primera "
        "clave, con rol admin, se muestra aquí una sola vez y no se guarda:\n\n  {secret}\n\n"
        "Envíela como `Authorization: Bearer CLAVE`; cree otras con `timonel key create`, y "
        "revóquela después: `timonel key revoke first-admin`.",
    },
    "key_created": {
        "en": "Key {name}, role {role}, may: {scopes}. Shown here once and stored nowhere:\n\n"
        "  {secret}\n",
        "es": "Clave {name}, rol {role}, puede: {scopes}. Se muestra aquí una sola vez y no se "
        "guarda:\n\n  {secret}\n",
    },
    "key_revoked": {
        "en": "Key {name} is revoked since {at}, by {by}.",
        "es": "La clave {name} está revocada desde {at}, por {by}.",
    },
    "keys_reached": {
        "en": "In force in {n_current} of {n_live} running process(es).",
        "es": "En vigor en {n_current} de {n_live} proceso(s) en marcha.",
    },
    "no_keys": {
        "en": "No keys: only requests from this machine are answered. `timonel key create NAME` "
        "makes one.",
        "es": "No hay claves: solo se responde a peticiones de este equipo. `timonel key create "
        "NOMBRE` crea una.",
    },
    "keys_headings": {
        "en": "name|state|role|scopes|models|rate|expires|made by|last used",
        "es": "nombre|estado|rol|alcances|modelos|ritmo|vence|creada por|último uso",
    },
    "key_state_active": {"en": "active", "es": "vigente"},
    "key_state_expired": {"en": "expired", "es": "vencida"},
    "key_state_revoked": {"en": "revoked by {by}", "es": "revocada por {by}"},
    "all_models": {"en": "all", "es": "todos"},
    "never_reported": {"en": "no use reported", "es": "sin uso informado"},
    "no_limit": {"en": "-", "es": "-"},
}
