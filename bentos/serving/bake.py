"""`python -m bentos.serving.bake --model M FOLDER` puts the champion into a folder for an image: a runner with RUNNER_BAKED_DIR starts from it."""

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


async def bake(settings: RunnerSettings, folder: Path) -> str:
    """Returns the version. Raises Away when nothing serves or a server does not answer, Refused for files that no runner would take."""
    async with Upstream(settings) as upstream:
        told = await upstream.wanted(None)
        champion = told[0].champion if told is not None else None
        if told is None or champion is None:
            raise Away(f"no version of {settings.model} has been promoted")
        files = folder / "model"
        files.mkdir(parents=True)
        await upstream.download(champion, files)
    artifact.read(files, settings.model, champion.sha256)
    write_state(folder, told[0].model_copy(update={"challenger": None}))
    return champion.version


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bentos.serving.bake", description="Puts the champion of a model into a new folder.")
    parser.add_argument("--model", required=True, choices=catalogue.names())
    parser.add_argument("folder", type=Path, help="must not have a version in it")
    arguments = parser.parse_args()
    try:
        version = asyncio.run(bake(RunnerSettings(model=arguments.model), arguments.folder))
    except (Away, Refused, FileExistsError) as error:
        sys.exit(f"{error}")
    print(f"version {version} of {arguments.model} is in {arguments.folder}")


if __name__ == "__main__":
    main()
