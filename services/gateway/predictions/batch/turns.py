"""Many short pieces of work between which the event loop looks at everything else."""

import asyncio


class Turns:
    """All batches of a process work in turns, one piece in each round of the loop, so that a single prediction waits for one piece and not for a batch.

    Threads would do worse here: what is to be done holds Python's lock, which a thread gives back only every 5 ms, while the loop needs it several times for
    each prediction.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def next(self) -> None:
        """Returns when the caller may work for a fraction of a millisecond."""
        async with self._lock:
            await asyncio.sleep(0)
