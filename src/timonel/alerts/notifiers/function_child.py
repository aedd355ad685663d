"""The process that calls a project's function with one message, read from its standard input."""

import importlib
import json
import sys
from operator import attrgetter
from pathlib import Path


def main() -> None:
    """Import the module from the present folder and call its function."""
    module, _, name = sys.argv[1].partition(":")
    sys.path.insert(0, str(Path.cwd()))
    message = json.load(sys.stdin)
    attrgetter(name)(importlib.import_module(module))(message)


if __name__ == "__main__":
    main()
