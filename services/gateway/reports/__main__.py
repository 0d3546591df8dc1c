"""`__main__.py PARENT MEMORY SECONDS < DOCUMENT > PDF`: draws one report. `bounds.bound` says what the numbers are."""

import json
import sys


def main() -> None:
    from services.gateway.confined import bounds

    bounds.bound(*map(int, sys.argv[1:]))
    asked = json.load(sys.stdin)

    from services.gateway.reports import batch, page, prediction, version

    kinds = {"prediction": prediction.story, "batch": batch.story, "version": version.story}
    parts, kind, subject = kinds[asked["kind"]](asked["document"])
    sys.stdout.buffer.write(page.drawn(parts, kind, subject, asked["made_at"]))


if __name__ == "__main__":
    main()
