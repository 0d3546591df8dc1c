import typer

from services.commands.demo.drift import drift

demo = typer.Typer(help="The platform shows what it does, on what runs here.", no_args_is_help=True)
demo.command("drift")(drift)


@demo.callback()
def whole() -> None:
    """The platform shows what it does, on what runs here."""


__all__ = ["demo"]
