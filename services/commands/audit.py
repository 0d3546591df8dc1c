from typing import Annotated

import typer

from services.commands import access
from services.local.failure import Failure
from services.local.paths import home

audit = typer.Typer(no_args_is_help=True)


@audit.callback()
def every() -> None:
    """Check that no answered prediction is missing in the audit."""


@audit.command()
def reconcile(
    as_document: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
    settle: Annotated[bool, typer.Option("--settle", help="Then forget the processes that ended with nothing open.")] = False,
) -> None:
    """Compare what the gateways answered with what is stored and spooled; exit code 1 when something is missing."""
    import psycopg

    from services.gateway.reconcile import report

    url = access.running()["database_url"]
    try:
        code = report(url, home().spool, as_json=as_document, settles=settle)
    except (psycopg.Error, OSError) as error:
        raise Failure(f"the audit cannot be compared: {error}", "`modelyard doctor` looks for what is wrong") from None
    if code:
        raise typer.Exit(code)
