"""The paths of the repository that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
FIXTURES = ROOT / "tests" / "fixtures"
RUNBOOKS = ROOT / "ssm-documents"
TEMPLATES = ROOT / "cloudformation"
# The operations that the function, the runbooks and the command line called in their tests, a file for each.
CALLS = ROOT / "target" / "calls"
IMDSV2 = ROOT / "target" / "debug" / "imdsv2"
