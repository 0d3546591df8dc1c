import pytest

from services.gateway.limits import Limit
from services.kit.errors import TooManyRequests


def test_each_caller_has_a_limit_of_its_own() -> None:
    limit = Limit("user", "2/minute")
    assert [limit.hit("ann").remaining for _ in range(2)] == [1, 0]
    with pytest.raises(TooManyRequests) as refused:
        limit.hit("ann")
    assert refused.value.headers["Retry-After"] == refused.value.headers["RateLimit-Reset"]
    assert limit.hit("bob").remaining == 1
