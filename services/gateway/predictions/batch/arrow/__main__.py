"""`__main__.py PARENT MEMORY SECONDS FRAME_ROWS INTEGERS OPTIONAL < FILE`, the last two as names with commas between them. `bounds.bound` and `Lines` say
what they are."""

import os
import sys

from services.gateway.predictions.batch.arrow.protocol import EXHAUSTED, FAULT, LONGEST_NAME, MOST_COLUMNS, UNREADABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "/dev/stdin"
LONGEST_WORDS = 300
PREFIXES = ("called `Result::unwrap()` on an `Err` value: ", "C Data interface error: ", "Parquet argument error: ", "Parquet error: ", "External: ")
SHORTER = 16
"""Frames of rows with lists, of which each may be as long as a thousand rows without."""
MOST_OF_A_FRAME = 0.2
"""Of the memory: a category of few long texts stands for any amount of it."""


def main() -> None:
    out = sys.stdout.buffer
    try:
        for text in _said(*sys.argv[1:]):
            out.write(text)
            out.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody reads any more
    except MemoryError:
        os._exit(EXHAUSTED)
    except BaseException as error:  # noqa: BLE001 - a panic of Rust's is no Exception
        out.write(_word(error))
        out.flush()
        os._exit(1)


def _said(parent: str, memory: str, seconds: str, frame_rows: str, integers: str, optional: str) -> "Iterator[bytes]":
    from services.gateway.confined import bounds
    from services.gateway.predictions.batch.arrow import footer

    bounds.bound(int(parent), int(memory), int(seconds))
    with open(0, "rb", closefd=False) as file:
        promised = footer.rows(file)

    from arro3.io import read_parquet

    from services.gateway.predictions.batch.arrow.columns import described, is_list
    from services.gateway.predictions.batch.arrow.lines import Lines

    frames = read_parquet(FILE, batch_size=int(frame_rows))
    if any(map(is_list, frames.schema.types)):
        frames = read_parquet(FILE, batch_size=max(1, int(frame_rows) // SHORTER))
    names = frames.schema.names
    if not 0 < len(names) <= MOST_COLUMNS:
        raise footer.Unreadable(f"it has {len(names)} columns")
    if (longest := max(map(len, names))) > LONGEST_NAME:
        raise footer.Unreadable(f"a column's name has {longest} characters")
    yield b'{"rows":%d,"columns":%d}\n%b' % (promised, len(names), described(frames.schema))
    lines = Lines(integers.split(","), optional.split(","))
    found = 0
    for frame in frames:
        found += frame.num_rows
        if found > promised:
            break
        if frame.nbytes > int(memory) * MOST_OF_A_FRAME:
            raise MemoryError
        yield from lines.of(frame)
    if found != promised:
        raise footer.Unreadable(f"its footer speaks of {promised} rows, and there are {'more' if found > promised else found}")


def _word(error: BaseException) -> bytes:
    """What arro3 raises for a file is a plain Exception, or a panic with Rust's name of the error around the words; anything else is our fault."""
    kind, words = type(error).__name__, str(error)
    if kind == "PanicException":
        words = words.partition('("')[2].rpartition('")')[0] or words
    mark = UNREADABLE if kind in ("Unreadable", "PanicException", "Exception") else FAULT + kind.encode() + b": "
    for prefix in PREFIXES:
        words = words.removeprefix(prefix)
    words = " ".join(words.split()) or kind
    return mark + words[:LONGEST_WORDS].encode() + b"\n"


if __name__ == "__main__":
    main()
