"""`modelyard …`: one module of services/commands per group of commands, imported only when its command is asked for."""

import functools
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from services.local.failure import Failure

COMMANDS = {
    "up": "up:up",
    "down": "platform:down",
    "status": "platform:status",
    "logs": "platform:logs",
    "doctor": "platform:doctor",
    "predict": "predict:predict",
    "models": "models:models",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "promote": "models:promote",
    "rollback": "models:rollback",
    "ledger": "ledger:ledger",
    "audit": "audit:audit",
    "report": "report:report",
    "token": "accounts:token",
    "users": "accounts:users",
    "keys": "accounts:keys",
    "workflows": "workflows:workflows",
    "outcomes": "outcomes:outcomes",
    "assets": "assets:assets",
    "drift": "drift:drift",
    "performance": "performance:performance",
    "images": "images:images",
    "kind": "kind:kind",
    "release": "release:release",
    "policy": "models:policy",
    "lineage": "lineage:lineage",
    "reproduce": "lineage:reproduce",
    "proof": "lineage:proof",
    "retrain": "retraining:retrain",
    "retrainings": "retraining:retrainings",
    "notify": "notify:notify",
    "demo": "demo:demo",
    "shadow": "rollouts:shadow",
    "canary": "rollouts:canary",
    "withdraw": "rollouts:withdraw",
    "shadow-report": "rollouts:shadow_report",
    "replay": "rollouts:replay",
    "score": "score:score",
}


def in_words(command: Callable[..., None]) -> Callable[..., None]:
    """What goes wrong becomes a sentence, what to do next, and an exit code: 1, or 2 for a wrong use."""

    @functools.wraps(command)
    def guarded(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except Failure as failure:
            for line in failure.details:
                typer.echo(f"  {line}", err=True)
            typer.secho(f"modelyard: {failure.message}", err=True, fg="red")
            if failure.hint:
                typer.echo(f"  → {failure.hint}", err=True)
            raise SystemExit(failure.code) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:  # the last resort of a process: one line instead of a traceback
            if os.environ.get("MODELYARD_DEBUG"):
                raise
            typer.secho(f"modelyard: {type(error).__name__}: {error}", err=True, fg="red")
            typer.echo("  → MODELYARD_DEBUG=1 shows where; `modelyard doctor` looks for what is wrong", err=True)
            raise SystemExit(1) from None

    return guarded


class Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        found = getattr(import_module(f"services.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            for one in found.registered_commands:
                if one.callback:
                    one.callback = in_words(one.callback)
        else:
            function, found = found, typer.Typer(add_completion=False)
            found.command(cmd_name)(in_words(function))
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def modelyard() -> None:
    """Train, serve and audit models on this machine."""


if __name__ == "__main__":
    sys.exit(app())
