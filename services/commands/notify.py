from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, say, table
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR

notify = typer.Typer(help="What people are told, and whether it arrives.", no_args_is_help=True)


@notify.command("test")
def try_out(channel: Annotated[str | None, typer.Argument(help="One channel; all of them without it.")] = None) -> None:
    """Send a notification now, and say what became of it."""
    body = {"actor": ADMINISTRATOR} | ({"channel": channel} if channel else {})
    found = access.control().post("/notifications/test", body)["channels"]
    if not found:
        raise Failure("there are no channels", "CONTROL_NOTIFICATIONS names the file with them; docs/notifications.md shows one")
    for one in found:
        say(f"{one['channel']} ({one['kind']}): " + (f"sent in {one['seconds']:.2f} s" if one["sent"] else f"not sent, {one['error']}"))
    if not all(one["sent"] for one in found):
        raise Failure("not every channel takes notifications", "docs/notifications.md says what the answers mean")


@notify.command("list")
def listed(
    model: Annotated[str | None, typer.Option(help="Of this model alone.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many of the latest.")] = 20,
    as_document: AsJson = False,
) -> None:
    """The latest, newest first, and how each channel stands with them."""
    chosen = f"&model={access.known_model(model)}" if model else ""
    found = access.gateway().get(f"/notifications?limit={limit}{chosen}")
    if as_document:
        as_json(found)
        return
    table(["#id", "time", "event", "title", "channels"], [_row(one) for one in found["notifications"]])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    channels = [f"{each['channel']} {each['status']}" + (f" ({each['error']})" if each["error"] else "") for each in one["deliveries"]]
    return one["id"], moment(one["created_at"]), one["event"], one["title"], ", ".join(channels) or "nobody wants it"
