"""One task in a process of its own: ``python -m timonel.jobs.child <descriptor>``.

The descriptor is a file that its parent holds too: it starts as the orders and ends as the answer.
Standard input ends when the parent does, and this process with it.
"""

import json
import os
import signal
import sys
import threading

from timonel.jobs.executors import run_function


def main() -> None:
    """Do the task, and end."""
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    os.dup2(2, 1)  # what a function prints goes where its warnings go
    with os.fdopen(int(sys.argv[1]), "r+b") as desk:
        desk.seek(0)
        orders = json.loads(desk.read())
        sys.path[:] = orders["path"]  # the same modules as in the parent
        answer = run_function(orders["function"], orders["payload"])
        desk.seek(0)
        desk.truncate()
        desk.write(json.dumps(answer).encode())


def _end_with_parent() -> None:
    while os.read(0, 64):
        pass
    os.killpg(0, signal.SIGKILL)  # at once: what it had begun is rolled back, or done again


if __name__ == "__main__":
    main()
