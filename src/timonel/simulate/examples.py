"""Where the example projects lie: in the installed package, or in the repository."""

from pathlib import Path

from timonel.simulate.errors import UnknownExample


def example_folder(name: str) -> Path:
    """Find an example project: the copy in the installed package, else the repository's.

    Parameters
    ----------
    name : str
        ``"dispatch"`` or ``"obesity"``.

    Raises
    ------
    UnknownExample
        If there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    folders = [package / "examples" / name, package.parents[1] / "examples" / name]
    for folder in folders:
        if (folder / "timonel.toml").is_file():
            return folder
    raise UnknownExample(name=name, folders=", ".join(map(str, folders)))
