"""Writes the runbooks of ssm-documents/ into the templates, between the marks that name each of them.

A template has to carry them itself: `aws cloudformation package` does not embed them, and stack sets with
service-managed permissions take no AWS::Include. The files in ssm-documents/ are what is edited.

    render_templates.py            writes
    render_templates.py --check    only says what differs, and fails if anything does
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(
    r"^(?P<indent> *)# BEGIN (?P<path>ssm-documents/\w+\.yaml)\n.*?^(?P<end> *# END (?P=path))$",
    re.MULTILINE | re.DOTALL,
)


def render(template):
    """The template with each marked place filled anew."""

    def fill(place):
        document = (ROOT / place["path"]).read_text()
        lines = [place["indent"] + line if line else line for line in document.splitlines()]
        begin = f"{place['indent']}# BEGIN {place['path']}"
        return "\n".join([begin, *lines, place["end"]])

    return MARKED.sub(fill, template)


def main():
    stale = []
    for path in sorted((ROOT / "cloudformation").glob("*.yaml")):
        template = path.read_text()
        rendered = render(template)
        if rendered != template:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(rendered)
    if stale and "--check" in sys.argv:
        sys.exit(f"{', '.join(stale)}: not as ssm-documents/ would have it. Run `make render` and commit.")


if __name__ == "__main__":
    main()
