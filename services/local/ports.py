"""Free TCP ports of the loopback address."""

import socket
from collections.abc import Collection

SPAN = 400


def is_free(port: int) -> bool:
    """SO_REUSEADDR as servers set it: a port whose last connections are in TIME_WAIT counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(remembered: int | None, preferred: int, taken: Collection[int]) -> int:
    """Raises OSError when nothing is free in a wide range."""
    if remembered is not None and remembered not in taken and is_free(remembered):
        return remembered
    for port in range(preferred, preferred + SPAN):
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port on 127.0.0.1 from {preferred} to {preferred + SPAN - 1}")
