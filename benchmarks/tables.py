"""A simulation's table: each line is printed as it is found, and all are written at the end."""

from pathlib import Path
from time import perf_counter


class Table:
    """Lines of Markdown, and how long they took."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._lines: list[str] = []

    def say(self, line: str) -> None:
        """Print a line, and keep it."""
        self._lines.append(line)
        print(line, flush=True)

    def end(self, file: Path | None) -> None:
        """Say how long it took; write all lines to a file, if one is asked for."""
        self.say(f"\n{perf_counter() - self._began:.0f} s on a shared machine.")
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(self._lines) + "\n", "utf-8")
