"""Writes the runbooks in ssm-documents/ into the templates, between the comments that name them.

A template must contain its runbooks: `aws cloudformation package` does not embed them, and stack sets with
service-managed permissions do not support AWS::Include. Edit the files in ssm-documents/, not the templates.

    render_templates.py            write the templates
    render_templates.py --check    fail if a template is out of date, and write nothing
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
    """Returns the template with the current text of each runbook."""

    def text(place):
        document = (ROOT / place["path"]).read_text()
        lines = [place["indent"] + line if line else line for line in document.splitlines()]
        begin = f"{place['indent']}# BEGIN {place['path']}"
        return "\n".join([begin, *lines, place["end"]])

    return MARKED.sub(text, template)


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
        sys.exit(f"{', '.join(stale)}: the runbooks differ from ssm-documents/; run `make render` and commit")


if __name__ == "__main__":
    main()
