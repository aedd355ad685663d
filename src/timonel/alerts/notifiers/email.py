"""Mail by SMTP: one plain message for each piece of news, threaded by its alert.

The server's address is ``smtps://user:password@host:465`` (TLS from the first byte) or
``smtp://user:password@host:587`` (STARTTLS where the server offers it). A password is sent over
TLS only.
"""

import smtplib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from timonel.alerts.errors import DeliveryFailed
from timonel.errors import Phrase

_LABELS = {
    "en": ("Seen", "Expected", "What to do"),
    "es": ("Se vio", "Se esperaba", "Qué hacer"),
}
_PORTS = {"smtp": 25, "smtps": 465}


class EmailNotifier:
    """Sends messages through a mail server.

    Parameters
    ----------
    channel, url : str
    sender, to : str
        Mail addresses; of ``to`` several, separated by commas.
    timeout_s : float
    tls : ssl.SSLContext or None
        None: certificates are checked as the host does.
    """

    def __init__(
        self,
        channel: str,
        url: str,
        *,
        sender: str,
        to: str,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._channel = channel
        try:
            self._server = urlsplit(url)
            usable = self._server.scheme in _PORTS and bool(self._server.hostname)
            self._port = self._server.port or _PORTS.get(self._server.scheme, 0)
        except ValueError:
            usable = False
        if not usable:
            raise self._failed(
                "its address is not one of smtp:// or smtps://",
                "su dirección no es de smtp:// ni smtps://",
            )
        self._sender = sender
        self._to = [one.strip() for one in to.split(",")]
        self._timeout_s = timeout_s
        self._tls = tls or ssl.create_default_context()

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Send one mail; a repeat has the same ``Message-ID``, by which mailboxes tell it."""
        message = self.message(message_id, body)
        try:
            with self._connected() as server:
                refused = server.send_message(message)
        except DeliveryFailed:
            raise
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise self._failed(
                "the mail server refused every recipient ({code})",
                "el servidor de correo rechazó a todos los destinatarios ({code})",
                code=code,
            ) from None
        except smtplib.SMTPResponseException as error:
            # its code and not its words: they may repeat an address or a name
            raise self._failed(
                "the mail server answered {code}",
                "el servidor de correo respondió {code}",
                code=error.smtp_code,
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            kind = type(error).__name__
            raise self._failed("no answer ({kind})", "sin respuesta ({kind})", kind=kind) from None
        if refused:
            raise self._failed(
                "the mail server refused {n} of {of} recipients",
                "el servidor de correo rechazó a {n} de {of} destinatarios",
                n=len(refused),
                of=len(self._to),
            )

    def message(self, message_id: UUID, body: Mapping[str, Any]) -> EmailMessage:
        """Write the mail."""
        seen, expected, steps = _LABELS.get(body["language"], _LABELS["en"])
        alert = body["alert"]
        domain = parseaddr(self._sender)[1].rpartition("@")[2]
        mail = EmailMessage()
        mail["Subject"] = " ".join(f"[{body['project']}] {body['heading']}".split())[:200]
        mail["From"] = Address("Timonel", addr_spec=self._sender)
        mail["To"] = ", ".join(self._to)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message_id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        if alert is not None:
            thread = f"<timonel-{body['project']}-{alert['alert_id']}@{domain}>"
            mail["In-Reply-To"] = thread
            mail["References"] = thread
        lines = [body["heading"], "", f"{seen}: {body['seen']}", f"{expected}: {body['expected']}"]
        if body["event"] != "resolved":
            listed = [f"  {at}. {step}" for at, step in enumerate(body["steps"], 1)]
            lines += ["", f"{steps}:", *listed]
        lines += ["", f"{body['project']} · {body['at']} · {body['link']}", ""]
        mail.set_content("\n".join(lines))
        return mail

    def _connected(self) -> smtplib.SMTP:
        host, user = self._server.hostname or "", self._server.username
        secure = self._server.scheme == "smtps"
        server: smtplib.SMTP
        if secure:
            server = smtplib.SMTP_SSL(host, self._port, timeout=self._timeout_s, context=self._tls)
        else:
            server = smtplib.SMTP(host, self._port, timeout=self._timeout_s)
        try:
            server.ehlo_or_helo_if_needed()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=self._tls)
                server.ehlo()
                secure = True
            if user:
                if not secure:
                    raise self._failed(
                        "the mail server offers no TLS, and a password is not sent without it",
                        "el servidor de correo no ofrece TLS, y sin él no se envía una contraseña",
                    )
                server.login(unquote(user), unquote(self._server.password or ""))
        except BaseException:
            server.close()
            raise
        return server

    def _failed(self, en: str, es: str, **facts: Any) -> DeliveryFailed:
        return DeliveryFailed(channel=self._channel, found=Phrase(en, es, **facts))
