import os
import shlex
import sys
from pathlib import Path

from services.commands import access
from services.commands.first_prediction import curl_that_works
from services.commands.output import console, say
from services.local import launch
from services.local.board import Board
from services.local.failure import Failure
from services.local.lock import is_running
from services.local.paths import ROOT, home
from services.local.state import ADMINISTRATOR
from services.local.steps import environment, start, training


def up() -> None:
    """Start the whole platform, train what has never been trained, and say how to use it."""
    where = home()
    try:
        with Board() as board:
            _check_environment(board)
            supervisor = None if is_running(where) else launch.start(where)
            try:
                start.follow(where, board, supervisor)
            except Failure:
                if supervisor is not None:
                    launch.stop(where)
                raise
            training.first_training(access.control(), board, ADMINISTRATOR)
            start.runners_ready(where, board)
            curl = curl_that_works(board, access.gateway())
            seconds = board.seconds
    except KeyboardInterrupt:
        raise Failure("interrupted; what has been started goes on", "`modelyard up` looks again, `modelyard down` stops it", code=130) from None
    _panel(curl, seconds)


def _check_environment(board: Board) -> None:
    board.show("environment", "working")
    found = environment.checks(home())
    problems = [check for check in found if check.level == "problem"]
    if problems:
        board.show("environment", "failed", problems[0].found)
        raise Failure(f"{problems[0].name}: {problems[0].found}", problems[0].advice, [f"{one.name}: {one.found}" for one in problems[1:]])
    board.show("environment", "done", "; ".join(f"{check.name} {check.found}" for check in found if check.name != "folder"))


def program() -> str:
    """`modelyard` as this person can type it here."""
    script = Path(sys.executable).parent / "modelyard"
    if str(script.parent) in os.environ.get("PATH", "").split(os.pathsep):
        return "modelyard"
    try:
        return shlex.quote(str(script.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(script))


def _panel(curl: str, seconds: float) -> None:
    view = access.running()
    urls = {name: one["url"] for name, one in view["services"].items() if name in ("gateway", "mlflow", "control", "frontend")}
    command = program()
    console.rule("Modelyard is up", align="left")
    lines = {
        "dashboard": urls["frontend"],
        "API": f"{urls['gateway']}    documentation {urls['gateway']}/docs",
        "MLflow": urls["mlflow"],
        "control": f"{urls['control']}    (private)",
        "database": view["database_url"],
        "log-in": f"{ADMINISTRATOR}  {view['password']}",
        "logs": str(home().logs),
    }
    for name, text in lines.items():
        say(f"  {name:<11}{text}")
    say("\nA first prediction, with a token that lives for some minutes (`modelyard token` gives another):\n".replace("modelyard token", f"{command} token"))
    say(curl)
    say(f"\nNext:  {command} status | models | predict MODEL | ledger MODEL | down        (in {ROOT})")
    say(f"Ready after {seconds:.1f} s.")
