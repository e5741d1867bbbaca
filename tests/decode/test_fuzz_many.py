"""Random inputs by the thousand: whatever comes, no decoder raises anything of another family."""

import pytest

from tests.decode.fuzz import fuzz


@pytest.mark.parametrize("count", [5_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_no_other_exception(count: int) -> None:
    counts = fuzz(count)
    assert counts["inputs"] == count
    assert {"TextDelta", "StreamServerError", "StreamProtocolError", "StreamLimitExceeded", "Finish"} <= set(counts)
