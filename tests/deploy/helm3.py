#!/usr/bin/env python3
"""Stands before Helm 4 as `helm`, for a skaffold that only knows Helm 3: `version --client`, and a post-renderer that is a program instead of a plugin."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

REAL = "MODELYARD_TEST_HELM"
"""The environment names the program that does the work."""


def main() -> int:
    given = sys.argv[1:]
    if given[:1] == ["version"]:
        print('version.BuildInfo{Version:"v3.19.0", GitCommit:"", GitTreeState:"clean", GoVersion:"go1.24"}')
        return 0
    with tempfile.TemporaryDirectory() as plugins:
        if "--post-renderer" in given:
            at = given.index("--post-renderer") + 1
            plugin = Path(plugins) / "program"
            plugin.mkdir()
            (plugin / "plugin.yaml").write_text(
                "apiVersion: v1\ntype: postrenderer/v1\nname: program\nversion: 0.0.1\nruntime: subprocess\n"
                f"runtimeConfig:\n  platformCommand:\n    - command: {given[at]}\n"
            )
            given[at] = "program"
        return subprocess.run([os.environ[REAL], *given], env=os.environ | {"HELM_PLUGINS": plugins}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
