"""The word lists of `words/`, and their copy in `rules.py`: run it after editing a list.

Rules travel to every server as one file, so their words stand in that file.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN, END = "# --- from words/\n", "# --- to here\n"


def read_words(kind: str) -> list[str]:
    """All languages' words of a kind ("hate" or "offensive"): one or two words a line."""
    lines = [
        line.strip().lower()
        for file in sorted((HERE / "words").glob(f"{kind}_*.txt"))
        for line in file.read_text("utf-8").splitlines()
    ]
    return sorted({line for line in lines if line and not line.startswith("#")})


def with_words(source: str) -> str:
    """The rules' source with the lists of today."""
    before, _, rest = source.partition(BEGIN)
    _, _, after = rest.partition(END)
    lists = "".join(
        f"{kind.upper()} = (\n" + "".join(f'    "{word}",\n' for word in read_words(kind)) + ")\n"
        for kind in ("hate", "offensive")
    )
    return before + BEGIN + lists + END + after


if __name__ == "__main__":
    rules = HERE / "rules.py"
    rules.write_text(with_words(rules.read_text("utf-8")), "utf-8")
    print(f"rules.py now holds {len(read_words('hate'))} and {len(read_words('offensive'))} words")
