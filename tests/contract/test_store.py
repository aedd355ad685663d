from collections.abc import Callable

import pytest

from timonel.testing.store import STORE_CHECKS, check_upgrade_by_several_processes

PREPARED = [check for check in STORE_CHECKS if check is not check_upgrade_by_several_processes]


def test_upgrade_by_several_processes(empty_database: str) -> None:
    check_upgrade_by_several_processes(empty_database)


@pytest.mark.parametrize("check", PREPARED, ids=lambda check: check.__name__)
def test_store(check: Callable[[str], None], database: str) -> None:
    check(database)
