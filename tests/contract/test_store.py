from collections.abc import Callable

import pytest

from timonel.testing.store import STORE_CHECKS


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_store(check: Callable[[str], None], empty_database: str) -> None:
    check(empty_database)
