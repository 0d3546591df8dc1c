"""`python -m bentos.serving.bake --model M [--version N] FOLDER` puts a version into a folder for an image: a runner with RUNNER_BAKED_DIR starts from it."""

import argparse
import asyncio
import sys
from pathlib import Path

from bentos import catalogue
from bentos.serving import artifact
from bentos.serving.artifact import Refused
from bentos.serving.cache import write_state
from bentos.serving.settings import RunnerSettings
from bentos.serving.upstream import Away, Upstream
from bentos.serving.wanted import Wanted


async def bake(settings: RunnerSettings, folder: Path, version: str | None = None) -> str:
    """Returns the version, by default the champion's. Raises Away when there is none or nobody answers, Refused for files that no runner would take."""
    async with Upstream(settings) as upstream:
        told = await upstream.wanted(None)
        state = told[0] if told is not None else Wanted()
        if version is not None and (state.champion is None or state.champion.version != version):
            state = await upstream.registered(version)
        if state.champion is None:
            raise Away(f"no version of {settings.model} has been promoted")
        files = folder / "model"
        files.mkdir(parents=True)
        await upstream.download(state.champion, files)
    artifact.read(files, settings.model, state.champion.sha256)
    write_state(folder, state.model_copy(update={"challenger": None}))
    return state.champion.version


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bentos.serving.bake", description="Puts a version of a model into a new folder.")
    parser.add_argument("--model", required=True, choices=catalogue.names())
    parser.add_argument("--version", help="a registered version, promoted or not (default: the champion)")
    parser.add_argument("folder", type=Path, help="must not have a version in it")
    arguments = parser.parse_args()
    try:
        version = asyncio.run(bake(RunnerSettings(model=arguments.model), arguments.folder, arguments.version))
    except (Away, Refused, FileExistsError) as error:
        sys.exit(f"{error}")
    print(f"version {version} of {arguments.model} is in {arguments.folder}")


if __name__ == "__main__":
    main()
