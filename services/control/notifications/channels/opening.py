"""From configuration and environment to channels that can be sent through."""

from collections.abc import Mapping

import aiohttp

from services.control.notifications.channels.discord import Discord
from services.control.notifications.channels.mail import Mail
from services.control.notifications.channels.sending import Hidden, Sender
from services.control.notifications.channels.webhook import Webhook
from services.control.notifications.configuration import AnyChannel, Configuration
from services.control.notifications.configuration import Discord as DiscordChannel
from services.control.notifications.configuration import Email as EmailChannel


def senders(configuration: Configuration, session: aiohttp.ClientSession, environment: Mapping[str, str]) -> dict[str, Sender]:
    """None of them says the secrets of any."""
    hide = Hidden([environment[name] for name in configuration.variables()])
    return {name: _sender(channel, session, environment, hide) for name, channel in configuration.channels.items()}


def _sender(channel: AnyChannel, session: aiohttp.ClientSession, environment: Mapping[str, str], hide: Hidden) -> Sender:
    if isinstance(channel, DiscordChannel):
        return Discord(session, environment[channel.url_env], hide)
    if isinstance(channel, EmailChannel):
        username, password = (environment[name] if name else None for name in (channel.username_env, channel.password_env))
        return Mail(channel, username, password, hide)
    return Webhook(session, channel.url or environment[str(channel.url_env)], environment[channel.secret_env], hide)
