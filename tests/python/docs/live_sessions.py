"""A stand-in for the AWS account in which console sessions run, with the instances that the pages show."""

from docs.sessions import run, steps

REGION = "eu-central-1"
# The instances on the pages, in the order in which a table has them.
QUIET, USED, REQUIRED = "i-0123456789abcdef0", "i-0fedcba9876543210", "i-0aaaaaaaaaaaaaaa2"


def furnish(cloud):
    """Launches one instance without IMDSv1 calls, one with, and a compliant one, and returns their ids."""
    quiet, used = sorted(cloud.instances(2, REGION))
    (required,) = cloud.instances(1, REGION, tokens="required")
    for days_ago in (13, 1):
        cloud.imdsv1_calls(quiet, 0, days_ago, REGION)
    cloud.imdsv1_calls(used, 12, region=REGION)
    return {QUIET: quiet, USED: used, REQUIRED: required}


def play(cloud, block, directory):
    """What each step of a block prints, with the ids of the pages instead of the stand-in's."""
    launched = furnish(cloud)
    environment = cloud.surroundings()["env"].items()
    settings = {key: str(value) for key, value in environment if key.startswith("AWS_")}
    printed = []
    for step in steps(block):
        command = replace(step.command, launched.items())
        lines = run(command, directory, settings, directory)
        printed.append([replace(line, ((own, shown) for shown, own in launched.items())) for line in lines])
    return printed


def replace(text, pairs):
    for old, new in pairs:
        text = text.replace(old, new)
    return text
