"""A process of its own that reads one Parquet file and writes its rows as JSON.

What a file says of itself a reader has to believe: a hundred bytes may stand for gigabytes, and Rust ends the process that asks for more than there is.
This one may end so. It has bounds of memory and time and no secrets in its environment, dies with its parent, and the gateway reads from its pipe as fast
as it needs rows.

Nothing is imported here that takes long (not `typing`, `json` or `enum`): a small batch waits for the start of this process.
"""
