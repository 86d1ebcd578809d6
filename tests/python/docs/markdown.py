"""The Markdown of the repository, taken apart: headings, links, tables and code blocks."""

import re
from dataclasses import dataclass

from support.repository import ROOT

# The pages for users. test_docs.py states what each of them must have.
MANUAL = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md")
ALL = MANUAL + [ROOT / name for name in OTHERS if (ROOT / name).exists()]

FENCE = re.compile(r"^ *```(\w*)$")
HEADING = re.compile(r"^(#+) (.+)$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


@dataclass
class Block:
    """A fenced block: its language, the number of its first line, and its lines without indentation."""

    language: str
    line: int
    lines: list[str]

    @property
    def text(self):
        return "\n".join(self.lines)


def name(path):
    """How messages and test ids name a page."""
    return str(path.relative_to(ROOT))


def blocks(path):
    """The fenced blocks of a page."""
    found, current = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if current is None and fence:
            current, indent = Block(fence[1], number + 1, []), len(line) - len(line.lstrip())
        elif fence:
            found.append(current)
            current = None
        elif current is not None:
            current.lines.append(line[indent:])
    assert current is None, f"{name(path)}: a block is not closed"
    return found


def prose(path):
    """The lines outside of fenced blocks."""
    inside, lines = False, []
    for line in path.read_text().splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def headings(path):
    """The level and text of each heading."""
    return [(len(found[1]), found[2]) for line in prose(path) if (found := HEADING.match(line))]


def anchors(path):
    """The anchors that GitHub makes of a page's headings."""
    found = set()
    for _, text in headings(path):
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{anchor}-{n}" if n else anchor) not in found)
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def links(path):
    """The targets of a page's links."""
    return LINK.findall("\n".join(prose(path)))


def section(path, heading):
    """The lines under a heading, down to the next one of its level or above."""
    lines, level = [], None
    for line in prose(path):
        found = HEADING.match(line)
        if level is not None and found and len(found[1]) <= level:
            break
        if level is not None:
            lines.append(line)
        if found and found[2] == heading:
            level = len(found[1])
    assert level is not None, f'{name(path)} has no heading "{heading}"'
    return lines


def tables(lines):
    """The tables among lines: each a list of rows of cells, without the header."""
    found, rows = [], []
    for line in [*lines, ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append(rows[2:])
            rows = []
    return found


def code(text):
    """What a text has in backticks."""
    return CODE.findall(text)
