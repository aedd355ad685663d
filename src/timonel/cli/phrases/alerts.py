"""The sentences of `timonel alerts`, in English and Spanish."""

ALERT_TEXTS: dict[str, dict[str, str]] = {
    "no_alerts": {"en": "No alerts.", "es": "Sin alertas."},
    "alerts_headings": {
        "en": "number|severity|state|since|last seen|times|what",
        "es": "número|gravedad|estado|desde|última vez|veces|qué",
    },
    "alert_state_pending": {"en": "pending", "es": "pendiente"},
    "alert_state_firing": {"en": "firing", "es": "activa"},
    "alert_state_acknowledged": {"en": "acknowledged", "es": "tomada"},
    "alert_state_resolved": {"en": "resolved", "es": "resuelta"},
    "alert_silenced": {"en": "{state}, silenced", "es": "{state}, silenciada"},
    "alert_title": {
        "en": "Alert {number}: {title}  [{severity}, {state}]",
        "es": "Alerta {number}: {title}  [{severity}, {state}]",
    },
    "alert_seen": {"en": "  seen      {seen}", "es": "  se vio       {seen}"},
    "alert_expected": {"en": "  expected  {expected}", "es": "  se esperaba  {expected}"},
    "alert_steps": {"en": "  what to do", "es": "  qué hacer"},
    "alert_history": {"en": "  history", "es": "  historia"},
    "alert_messages": {"en": "  messages", "es": "  mensajes"},
    "alert_alone": {"en": "by itself", "es": "por sí sola"},
    "message_delivered": {"en": "delivered", "es": "entregado"},
    "message_waiting": {"en": "waiting", "es": "en espera"},
    "message_given up": {"en": "given up", "es": "abandonado"},
    "alert_acknowledged": {
        "en": "Alert {number} is yours: it is not repeated while you work on it.",
        "es": "La alerta {number} es suya: no se repite mientras trabaja en ella.",
    },
    "alert_resolved": {
        "en": "Alert {number} is resolved. It fires again only after its condition was clear "
        "once, or after a day.",
        "es": "La alerta {number} está resuelta. Vuelve a activarse solo después de que su "
        "condición haya cesado una vez, o de un día.",
    },
    "alert_silent": {
        "en": "Nobody is told of alert {number} until {until}; its state goes on.",
        "es": "Nadie recibe avisos de la alerta {number} hasta {until}; su estado sigue.",
    },
    "alert_marked": {
        "en": "Alert {number} is marked: {mark}.",
        "es": "La alerta {number} queda marcada: {mark}.",
    },
    "alert_mark_useful": {"en": "useful", "es": "útil"},
    "alert_mark_false_alarm": {"en": "false alarm", "es": "falsa alarma"},
    "alert_rules_headings": {
        "en": "kind|monitor|fired|useful|false|precision",
        "es": "tipo|monitor|activas|útiles|falsas|precisión",
    },
    "alert_threshold": {
        "en": "  {rule}: with {setting} {threshold} none of the {n} false alarms would have fired, "
        "and {lost} useful ones neither.",
        "es": "  {rule}: con {setting} {threshold} no se habría activado ninguna de las {n} falsas "
        "alarmas, y tampoco {lost} útiles.",
    },
    "alert_figures": {
        "en": "{n} alerts fired in {days} days; {alone} ended by themselves, {pending} more never "
        "fired.",
        "es": "{n} alertas se activaron en {days} días; {alone} terminaron por sí solas, "
        "{pending} más nunca se activaron.",
    },
    "alert_to_acknowledge": {
        "en": "  half were taken within {span} ({n} alerts)",
        "es": "  la mitad se tomó en {span} ({n} alertas)",
    },
    "alert_to_resolve": {
        "en": "  half were over within {span} ({n} alerts)",
        "es": "  la mitad terminó en {span} ({n} alertas)",
    },
    "no_channels": {
        "en": "No channels: alerts are kept and shown, but nobody is called. "
        "`timonel alerts channel add` adds one.",
        "es": "Sin canales: las alertas se guardan y se muestran, pero no se avisa a nadie. "
        "`timonel alerts channel add` agrega uno.",
    },
    "channels_headings": {
        "en": "name|kind|from severity|language|options",
        "es": "nombre|tipo|desde gravedad|idioma|opciones",
    },
    "channel_added": {
        "en": "Channel {channel} added. The worker sends to it; its environment must have: "
        "{variables}. Try it: timonel alerts channel test {channel}",
        "es": "Canal {channel} agregado. El trabajador envía a él; su entorno debe tener: "
        "{variables}. Pruébelo: timonel alerts channel test {channel}",
    },
    "channel_added_plain": {
        "en": "Channel {channel} added. The worker delivers to it. Try it: timonel alerts "
        "channel test {channel}",
        "es": "Canal {channel} agregado. El trabajador envía a él. Pruébelo: timonel alerts "
        "channel test {channel}",
    },
    "channel_works": {
        "en": "Channel {channel} works; {n} messages wait for it.",
        "es": "El canal {channel} funciona; {n} mensajes esperan por él.",
    },
    "channel_removed": {
        "en": "Channel {channel} removed; {n} messages that waited for it are given up.",
        "es": "Canal {channel} eliminado; se abandonan {n} mensajes que lo esperaban.",
    },
}
