"""``python -m timonel.keeper``, orders on its standard input: the keeper of ``timonel.asgi``.

Started by a process that has mounted us and finds none. What keeps it from starting is printed to
standard output, for that process to tell; what happens later goes to standard error.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

from timonel.app import App, open_app
from timonel.errors import TimonelError
from timonel.serving.config import decode
from timonel.serving.embedding.orders import KeeperOrders
from timonel.serving.processes.errors import StateInUse
from timonel.serving.processes.liveness import receive_orders
from timonel.serving.processes.notices import text_of

IN_USE = 4


def main() -> int:
    """Keep house until no process that has mounted us is left; give the exit code."""
    orders = decode(receive_orders(), KeeperOrders)
    try:
        app = open_app(orders.folder, **orders.settings)
        keeper = app.keeper(_tell, with_worker=orders.worker)
        return 3 if keeper.run(lambda: _prepare(app)) else 0
    except StateInUse as error:
        sys.stdout.write(str(error))
        return IN_USE
    except TimonelError as error:
        sys.stdout.write(str(error))
        return 1


def _prepare(app: App) -> None:
    """As ``up`` where the database is the project's own file, as ``serve`` where it is not."""
    app.project.check()
    if app.settings.database_url is None:
        app.prepare()
    else:
        app.require_prepared()
    app.declare()


def _tell(kind: str, facts: Mapping[str, Any]) -> None:
    text = text_of(kind, facts, "en")
    os.write(2, f"timonel: {text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
