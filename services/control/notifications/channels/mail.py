"""E-mail through somebody's SMTP server."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from services.control.notifications.channels.sending import SECONDS, Hidden, Later, Never
from services.control.notifications.configuration import Email
from services.control.notifications.schemas import Message


class Mail:
    kind = "email"

    def __init__(self, channel: Email, username: str | None, password: str | None, hide: Hidden) -> None:
        self._channel, self._login, self._hide = channel, (username, password), hide

    async def send(self, message: Message) -> float:
        await asyncio.to_thread(self._send, compose(self._channel, message))
        return 0.0

    def _send(self, mail: EmailMessage) -> None:
        """4xx is the server's word for later (RFC 5321 §4.2.1), and so is a log-in that fails; 5xx is final."""
        try:
            with self._connected() as server:
                username, password = self._login
                if username is not None and password is not None:
                    server.login(username, password)
                server.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            raise Later(f"the log-in is refused ({error.smtp_code})") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (Never if min(codes) >= 500 else Later)(f"the recipients are refused ({', '.join(map(str, codes))})") from None
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
            raise (Never if error.smtp_code >= 500 else Later)(self._hide(f"{error.smtp_code}: {text}")) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Later(self._hide(f"{type(error).__name__}: {error}")) from None

    def _connected(self) -> smtplib.SMTP:
        channel = self._channel
        if channel.security == "tls":
            return smtplib.SMTP_SSL(channel.host, channel.port, timeout=SECONDS, context=_trusting(channel.ca_file))
        server = smtplib.SMTP(channel.host, channel.port, timeout=SECONDS)
        if channel.security == "starttls":
            try:
                server.starttls(context=_trusting(channel.ca_file))
            except BaseException:
                server.close()
                raise
        return server


def compose(channel: Email, message: Message) -> EmailMessage:
    """The Message-ID is the delivery's, so that mail programs show a letter that came twice once."""
    mail = EmailMessage()
    mail["From"], mail["To"] = channel.sender, ", ".join(channel.to)
    mail["Subject"] = " ".join(f"[{message.level}] {message.title}".split())[:200]
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.delivery}@{channel.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    fields = {"model": message.model} | message.fields
    mail.set_content("\n".join([message.words, "", *(f"{name}: {value}" for name, value in fields.items()), "", f"{message.event} {message.delivery}"]))
    return mail


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
