"""Measures `imdsv2 evaluate` on a folder of CloudFormation templates, compared with checkov.

Writes 2,000 templates below target/, half in YAML with short forms of functions and half in JSON, each with
a launch template, a group and 40 other resources. checkov, with one check, gets a part of them, as it takes
longer; the ratio is of the time for each template. Both must find the same launch templates. Needs
target/release/imdsv2 and target/peers.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from processes import measure

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target/release/imdsv2"
CHECKOV = ROOT / "target/peers/bin/checkov"
REPETITIONS = 5
# The longest time that 2,000 templates may take, in seconds.
MAX_SECONDS = 2.0


class Function:
    """A function in its short form, such as !Ref."""

    def __init__(self, tag: str, argument: object) -> None:
        self.tag, self.argument = tag, argument


def represent(dumper: yaml.Dumper, function: Function) -> yaml.Node:
    if isinstance(function.argument, str):
        return dumper.represent_scalar(function.tag, function.argument)
    return dumper.represent_sequence(function.tag, function.argument, flow_style=True)


class TemplateDumper(yaml.SafeDumper):
    """Writes templates as people do."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


TemplateDumper.add_representer(Function, represent)


def template(number: int, short: bool) -> dict:
    def function(name: str, argument: object) -> object:
        return Function(f"!{name.removeprefix('Fn::')}", argument) if short else {name: argument}

    tokens = "required" if number % 2 else "optional"
    others = {
        f"Queue{index}": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": function("Fn::Sub", f"${{Stage}}-jobs-{number}-{index}"),
                "RedrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:::dead", "maxReceiveCount": 5},
                "Tags": [
                    {"Key": "Team", "Value": "jobs"},
                    {"Key": "Stage", "Value": function("Ref", "Stage")},
                ],
            },
        }
        for index in range(40)
    }
    launch = {
        "Launch": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {"LaunchTemplateData": {"MetadataOptions": {"HttpTokens": tokens}}},
        },
        "Group": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "Properties": {
                "MinSize": "1",
                "MaxSize": "2",
                "LaunchTemplate": {
                    "LaunchTemplateId": function("Ref", "Launch"),
                    "Version": function("Fn::GetAtt", ["Launch", "LatestVersionNumber"]),
                },
            },
        },
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"Stage": {"Type": "String", "Default": "production"}},
        "Resources": {**others, **launch},
    }


def write(directory: Path, count: int) -> int:
    """Writes templates. Returns their size in bytes."""
    for number in range(count):
        short = number % 4 < 2
        if short:
            text = yaml.dump(template(number, short), Dumper=TemplateDumper, sort_keys=False)
        else:
            text = json.dumps(template(number, short), indent=2)
        folder = directory / f"{number // 100:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"stack-{number:05}.{'yaml' if short else 'json'}").write_text(text)
    return sum(path.stat().st_size for path in directory.rglob("*.*"))


def own_findings(printed: str) -> int:
    found = [
        each for each in json.loads(printed)["evaluations"] if each["resourceType"].endswith("LaunchTemplate")
    ]
    return len([each for each in found if each["compliance"] == "NON_COMPLIANT"])


def checkov_findings(printed: str) -> int:
    return json.loads(printed)["summary"]["failed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=int, default=2_000)
    parser.add_argument("--for-checkov", type=int, default=100)
    arguments = parser.parse_args()
    directory = ROOT / "target/bench"
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        whole, part = Path(temporary) / "whole", Path(temporary) / "part"
        whole.mkdir()
        size = write(whole, arguments.templates)
        part.mkdir()
        for path in sorted(whole.rglob("*.*"))[: arguments.for_checkov]:
            shutil.copy(path, part)
        command = [str(IMDSV2), "evaluate", "--exit-zero", "--format", "json"]
        ours = min(measure([*command, str(whole)], cores=2) for _ in range(REPETITIONS))
        check = [
            "--check",
            "CKV_AWS_79",
            "--framework",
            "cloudformation",
            "--output",
            "json",
            "--skip-download",
        ]
        theirs = measure([str(CHECKOV), "--directory", str(part), *check], cores=2)
        found = own_findings(measure([*command, str(part)]).printed)
        if found != checkov_findings(theirs.printed):
            sys.exit(f"imdsv2 found {found}, checkov {checkov_findings(theirs.printed)}")
        each = ours.seconds / arguments.templates, theirs.seconds / arguments.for_checkov
        print(f"{arguments.templates} templates, {size / 1e6:.0f} MB, {os.cpu_count()} cores")
        print(f"imdsv2   {ours.seconds:7.2f} s for {arguments.templates}, {ours.memory:6.1f} MiB")
        print(f"checkov  {theirs.seconds:7.2f} s for {arguments.for_checkov}, {theirs.memory:6.1f} MiB")
        print(f"{each[1] / each[0]:.0f} times as fast as checkov, for each template")
        if ours.seconds > MAX_SECONDS * arguments.templates / 2_000:
            sys.exit(f"more than {MAX_SECONDS} s for 2,000 templates")


if __name__ == "__main__":
    main()
