from collections.abc import Callable

import pytest

from timonel.testing.jobs import JOB_CHECKS


@pytest.mark.parametrize("check", JOB_CHECKS, ids=lambda check: check.__name__)
def test_jobs(check: Callable[[str], None], database: str) -> None:
    check(database)
