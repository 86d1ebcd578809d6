"""Prints the section of CHANGELOG.md that describes a version: `release_notes.py VERSION`."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str | None:
    """Returns the section of a version, without its heading."""
    section = re.search(
        rf"^## \[?{re.escape(version)}(?![\w.]).*\n((?:(?!## ).*\n?)*)", changelog, re.MULTILINE
    )
    return section and section.group(1).strip()


if __name__ == "__main__":
    found = notes(CHANGELOG.read_text(), sys.argv[1])
    if not found:
        sys.exit(f"CHANGELOG.md has no section {sys.argv[1]}")
    print(found)
