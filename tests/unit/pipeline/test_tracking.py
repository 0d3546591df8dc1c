"""What MLflow says, and what it says when it is something else."""

import httpx
import pytest

from services.pipeline.failure import Failure
from services.pipeline.tracking import Tracking


@pytest.mark.parametrize("status", [200, 502])
def test_whoever_answers_without_a_document_is_quoted(status: int) -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(status, text="<html>Welcome</html>"))
    words = rf"MLflow answered runs/get with {status} and no document: '<html>Welcome</html>'"
    with httpx.Client(base_url="http://mlflow/api/2.0/", transport=page) as client, pytest.raises(Failure, match=words):
        Tracking(client).look("x")
