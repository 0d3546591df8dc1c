import asyncio
from contextlib import suppress

import pytest

from services.gateway.deadlines import Deadlines, of_request, seconds
from services.kit.errors import BadRequest, GatewayTimeout


@pytest.mark.parametrize(
    ("value", "default", "given"),
    [(b"0.25", 1, 0.25), (b"3", 1, 3), (b"13", 1, 12), (b"1000", 30, 60), (b"0.000001", 1, 0.000001), (b"0012", 5, 12)],
)
def test_a_timeout_is_what_was_asked_for_within_bounds(value: bytes, default: float, given: float) -> None:
    assert seconds(value, default) == given


@pytest.mark.parametrize("value", [b"", b"0", b"0.0", b"-1", b"+1", b"1e3", b"inf", b"nan", b"1_0", b" 1", b"1,5", b"\xff", b"9" * 5000])
def test_a_malformed_timeout_is_named(value: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        seconds(value, 1)
    assert refused.value.errors is not None
    assert refused.value.errors[0]["field"] == "X-Request-Timeout"
    assert len(refused.value.errors[0]["value"]) <= 50


async def test_the_deadline_of_a_request() -> None:
    now = asyncio.get_running_loop().time()
    assert of_request([(b"accept", b"*/*"), (b"x-request-timeout", b"0.5")], 2) == pytest.approx(now + 0.5, abs=0.1)
    assert of_request([(b"accept", b"*/*")], 2) == pytest.approx(now + 2, abs=0.1)


async def test_what_waits_longer_is_told_so_and_nothing_else() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    sweeping = asyncio.create_task(deadlines.run())
    for _ in range(2):  # the second time after all was quiet
        began = loop.time()
        late, early, gone, patient = (loop.create_future() for _ in range(4))
        for future, left in ((late, 0.1), (early, 0.1), (gone, 0.1), (patient, 9)):
            deadlines.watch(future, began + left, lambda: GatewayTimeout("too late"))
        early.set_result("in time")
        gone.cancel()
        with pytest.raises(GatewayTimeout, match="too late"):
            await late
        assert 0.1 <= loop.time() - began < 0.2
        assert (early.result(), gone.cancelled(), patient.done()) == ("in time", True, False)
        patient.set_result(None)
        await asyncio.sleep(0.05)
        assert deadlines._watched == []
    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping
