"""`imdsv2 remediate` and `imdsv2 restore`, in two accounts and three Regions."""

import signal
import time
from threading import Event

import pytest

from support.command_line import HERE, OTHER, OTHER_ROLE, OWN, OWN_ROLE, wait_for
from support.journal import count, entries, steps

MODIFY = "ModifyInstanceMetadataOptions"


def test_all_regions_and_accounts_are_changed_and_restored(cloud, journal):
    places = [("us-east-1", OWN), ("eu-west-1", OWN), ("ap-south-1", OTHER)]
    for region, account in places:
        cloud.instances(20, region, account)
        cloud.instances(2, region, account, tokens="required")
    before = [cloud.options(*place) for place in places]
    roles = ("--role-arn", OTHER_ROLE, "--role-arn", OWN_ROLE)
    regions = [f"--region={region}" for region, _ in places]

    run = cloud.remediate(journal, "--usage-days", "0", *roles, *regions)
    assert run.returncode == 0, run.stderr
    assert "  Change       60 instances: set HttpTokens=required\n" in run.stderr
    assert f"60 changed, 0 failed, 0 not started.\nTo undo: imdsv2 restore {journal}" in run.stderr
    found, _ = cloud.scan(*roles, *regions, "--exit-zero")
    instances = [each for each in found.values() if each["resourceType"] == "AWS::EC2::Instance"]
    assert len(instances) == 66
    assert {each["compliance"] for each in instances} == {"COMPLIANT"}
    assert {tuple(each) for each in steps(journal).values()} == {("intended", "changed")}

    run = cloud.restore(journal, *roles)
    assert run.returncode == 0, run.stderr
    assert [cloud.options(*place) for place in places] == before
    again = cloud.restore(journal, *roles)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to restore" in again.stderr


def test_instances_that_use_imdsv1_or_may_use_it_are_skipped(cloud, journal):
    used, quiet, unknown, stopped = cloud.instances(4)
    cloud.imdsv1_calls(used, 7)
    cloud.no_imdsv1_calls(quiet)
    cloud.client("ec2").stop_instances(InstanceIds=[stopped])
    run = cloud.remediate(journal, *HERE)
    assert run.returncode == 1, run.stderr
    assert f"{used}  skipped: IMDSv1 is still in use: 7 calls in the last 14 days" in run.stdout
    assert f"{unknown}  skipped: IMDSv1 usage is unknown" in run.stdout
    expected = {used: "optional", quiet: "required", unknown: "optional", stopped: "required"}
    assert cloud.tokens() == expected
    assert set(steps(journal)) == {quiet, stopped}


def test_unknown_and_known_usage_can_be_overridden(cloud, tmp_path):
    used, unknown = cloud.instances(2)
    cloud.imdsv1_calls(used, 7)
    assert cloud.remediate(tmp_path / "1", *HERE, "--on-unknown-usage", "proceed").returncode == 1
    assert cloud.tokens() == {used: "optional", unknown: "required"}
    assert cloud.remediate(tmp_path / "2", *HERE, "--force").returncode == 0
    assert cloud.tokens() == {used: "required", unknown: "required"}


def test_restored_instance_with_rejected_calls_is_skipped(cloud, journal, tmp_path):
    (instance,) = cloud.instances(1)
    cloud.no_imdsv1_calls(instance)
    assert cloud.remediate(journal, *HERE).returncode == 0
    cloud.imdsv1_calls(instance, 500, metric="MetadataNoTokenRejected")
    assert cloud.restore(journal).returncode == 0
    run = cloud.remediate(tmp_path / "again", *HERE)
    assert "IMDSv1 is still in use: 500 calls" in run.stdout
    assert cloud.tokens() == {instance: "optional"}


def test_stale_options_are_read_again(cloud, journal):
    (each,) = cloud.instances(1)
    cloud.simulate(stale_reads=3)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    assert cloud.tokens() == {each: "required"}


def test_hop_limit_is_raised_restored_and_never_lowered(cloud, journal):
    low, high = cloud.instances(2)
    cloud.client("ec2").modify_instance_metadata_options(InstanceId=high, HttpPutResponseHopLimit=3)
    before = cloud.options()
    assert cloud.remediate(journal, *HERE, "--usage-days", "0", "--hop-limit", "2").returncode == 0
    hop_limits = {each: options["HttpPutResponseHopLimit"] for each, options in cloud.options().items()}
    assert hop_limits == {low: 2, high: 3}
    assert cloud.restore(journal).returncode == 0
    assert cloud.options() == before


def test_exempt_disabled_and_other_instances_are_not_changed(cloud, journal):
    exempt, disabled, other, chosen = cloud.instances(4)
    ec2 = cloud.client("ec2")
    ec2.create_tags(Resources=[exempt], Tags=[{"Key": "until", "Value": "2999-12-31"}])
    ec2.modify_instance_metadata_options(InstanceId=disabled, HttpEndpoint="disabled")
    arguments = ["--usage-days", "0", "--parameters", '{"exemptionTagKey":"until"}']
    for each in (exempt, disabled, chosen):
        arguments += ["--instance-id", each]
    run = cloud.remediate(journal, *HERE, *arguments)
    assert run.returncode == 0, run.stderr
    assert set(steps(journal)) == {chosen}
    assert f"{exempt}  unchanged: the instance is exempt by tag through 2999-12-31" in run.stdout
    assert f"{disabled}  unchanged: the instance complies with the rule" in run.stdout
    assert cloud.tokens() == {exempt: "optional", disabled: "optional", other: "optional", chosen: "required"}


def test_instance_exempted_after_the_plan_is_not_changed(cloud, journal, intercepted):
    first, second = cloud.instances(2)

    def exempt_the_other(_region, action):
        if action == MODIFY:
            (other,) = {first, second} - set(steps(journal))
            tags = [{"Key": "until", "Value": "2999-12-31"}]
            cloud.client("ec2").create_tags(Resources=[other], Tags=tags)

    arguments = ("--usage-days", "0", "--parameters", '{"exemptionTagKey":"until"}', "--concurrency", "1")
    run = cloud.remediate(journal, *HERE, *arguments, endpoint=intercepted(exempt_the_other))
    assert run.returncode == 0, run.stderr
    assert "  Change       2 instances: set HttpTokens=required\n" in run.stderr
    (changed,) = cloud.requiring()
    (exempt,) = {first, second} - {changed}
    assert f"{exempt}  unchanged: the instance is exempt by tag through 2999-12-31" in run.stdout
    assert steps(journal) == {changed: ["intended", "changed"]}


def test_disabled_endpoint_stays_disabled(cloud, journal):
    (disabled,) = cloud.instances(1)
    cloud.client("ec2").modify_instance_metadata_options(InstanceId=disabled, HttpEndpoint="disabled")
    arguments = ["--parameters", '{"disabledEndpointCompliant":"false"}', "--hop-limit", "2"]
    run = cloud.remediate(journal, *HERE, *arguments)
    assert run.returncode == 0, run.stderr
    after = cloud.options()[disabled]
    assert (after["HttpTokens"], after["HttpEndpoint"]) == ("required", "disabled")
    assert after["HttpPutResponseHopLimit"] == 1


def test_endpoint_disabled_since_then_is_not_enabled(cloud, journal):
    (each,) = cloud.instances(1)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    cloud.client("ec2").modify_instance_metadata_options(InstanceId=each, HttpEndpoint="disabled")
    run = cloud.restore(journal)
    assert run.returncode == 2
    assert (
        "the IMDS endpoint was disabled after the change, and is never enabled by this command" in run.stderr
    )
    assert cloud.tokens() == {each: "required"}


def test_dry_run_changes_nothing_and_checks_permissions(cloud, journal):
    ids = cloud.instances(2)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--dry-run")
    assert run.returncode == 1, run.stderr
    assert run.stdout.count("allowed") == 2
    assert set(cloud.tokens().values()) == {"optional"}
    assert not journal.exists()
    cloud.simulate(error=("UnauthorizedOperation", "no"), error_only_for=ids[0])
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--dry-run")
    assert run.returncode == 2
    assert f"{ids[0]}: ModifyInstanceMetadataOptions: UnauthorizedOperation: no" in run.stderr


def test_rejected_change_does_not_hide_the_others(cloud, journal):
    ids = cloud.instances(3)
    cloud.simulate(error=("UnauthorizedOperation", "no"), error_only_for=ids[1])
    run = cloud.remediate(journal, *HERE, "--usage-days", "0")
    assert run.returncode == 2
    assert f"{ids[1]}: ModifyInstanceMetadataOptions: UnauthorizedOperation: no" in run.stderr
    assert cloud.tokens() == {ids[0]: "required", ids[1]: "optional", ids[2]: "required"}
    assert steps(journal)[ids[1]] == ["intended", "refused"]


def test_nothing_to_undo_is_not_offered(cloud, journal):
    cloud.instances(2)
    cloud.simulate(error=("UnauthorizedOperation", "no"))
    run = cloud.remediate(journal, *HERE, "--usage-days", "0")
    assert run.returncode == 2
    assert "0 changed, 2 failed, 0 not started.\n" in run.stderr
    assert "To undo" not in run.stderr


def test_restore_leaves_an_instance_that_somebody_else_changed_alone(cloud, journal):
    refused, changed = cloud.instances(2)
    cloud.simulate(error=("UnauthorizedOperation", "no"), error_only_for=refused)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 2
    cloud.simulate(error=None)
    cloud.client("ec2").modify_instance_metadata_options(InstanceId=refused, HttpTokens="required")
    run = cloud.restore(journal)
    assert run.returncode == 0, run.stderr
    assert "1 to restore" in run.stderr
    assert cloud.tokens() == {refused: "required", changed: "optional"}


def test_ignored_change_is_a_failure(cloud, journal):
    cloud.instances(1)
    cloud.simulate(ignored_options=["HttpTokens"])
    run = cloud.remediate(journal, *HERE, "--usage-days", "0")
    assert run.returncode == 2
    assert (
        "EC2 accepted the change, but it is not verified: the instance has HttpTokens=optional" in run.stderr
    )
    assert "expected HttpTokens=required" in run.stderr
    assert f"To undo: imdsv2 restore {journal}" in run.stderr


def test_nothing_is_changed_without_cloudwatch(cloud, journal):
    ids = cloud.instances(1)
    cloud.services["CLOUDWATCH"] = "http://127.0.0.1:9"
    run = cloud.remediate(journal, *HERE, "--on-unknown-usage", "proceed")
    assert run.returncode == 2
    assert "GetMetricData" in run.stderr
    assert cloud.tokens() == {ids[0]: "optional"}


def test_confirmation_needs_a_terminal(cloud, journal):
    ids = cloud.instances(1)
    run = cloud.imdsv2("remediate", *HERE, "--usage-days", "0", "--journal", str(journal))
    assert run.returncode == 2
    assert "stdin is not a terminal: pass --yes to apply, or --dry-run" in run.stderr
    assert cloud.tokens() == {ids[0]: "optional"}


def test_existing_journal_is_never_overwritten(cloud, journal):
    ids = cloud.instances(1)
    journal.write_text("precious")
    run = cloud.remediate(journal, *HERE, "--usage-days", "0")
    assert run.returncode == 2
    assert f"the journal {journal} exists, and is never overwritten: pass another --journal" in run.stderr
    assert journal.read_text() == "precious"
    assert cloud.tokens() == {ids[0]: "optional"}


def test_file_that_is_not_a_journal_is_an_error(cloud, journal):
    for text in ("", "precious", "precious\n"):
        journal.write_text(text)
        run = cloud.restore(journal)
        assert run.returncode == 2
        assert f"{journal} is not a journal of imdsv2 remediate" in run.stderr
        assert journal.read_text() == text


def test_damaged_line_is_reported_and_the_others_are_restored(cloud, journal):
    ids = cloud.instances(3)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0", "--concurrency", "1").returncode == 0
    lines = journal.read_text().splitlines(keepends=True)
    damaged = next(entry for entry in entries(journal) if entry["step"] == "intended")
    number = damaged["sequence"]
    lines[number - 1] = lines[number - 1].replace("optional", "optimal!")
    journal.write_text("".join(lines))
    run = cloud.restore(journal)
    assert run.returncode == 2
    assert f"line {number} cannot be read" in run.stderr
    expected = dict.fromkeys(ids, "optional") | {damaged["instanceId"]: "required"}
    assert cloud.tokens() == expected


def test_journal_in_use_is_an_error_that_names_the_process(cloud, journal, intercepted):
    (each,) = cloud.instances(1)
    may_continue = Event()
    endpoint = intercepted(lambda _, action: action == MODIFY and may_continue.wait() and None)
    process = cloud.start_remediate(journal, *HERE, "--usage-days", "0", endpoint=endpoint)
    wait_for(lambda: count(journal, "intended") == 1, process)
    for run in (cloud.restore(journal), cloud.remediate(journal, *HERE, "--usage-days", "0")):
        assert run.returncode == 2
        assert f"{journal} is in use by imdsv2 remediate (process {process.pid})" in run.stderr
    assert cloud.tokens() == {each: "optional"}
    may_continue.set()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert steps(journal) == {each: ["intended", "changed"]}


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_leaves_a_complete_journal(cloud, journal, interrupt):
    cloud.instances(60)
    before = cloud.options()
    process = cloud.start_remediate(journal, *HERE, "--usage-days", "0", "--concurrency", "3")
    wait_for(lambda: count(journal, "changed") >= 5, process)
    process.send_signal(interrupt)
    _, stderr = process.communicate(timeout=60)
    time.sleep(0.5)  # a killed process may have sent a request that still arrives
    changed = cloud.requiring()
    assert 5 <= len(changed) < 60
    assert changed <= set(steps(journal)), "a change is missing from the journal"
    if interrupt == signal.SIGINT:
        assert process.returncode == 1, stderr
        assert {tuple(each) for each in steps(journal).values()} == {("intended", "changed")}
        assert f"To undo: imdsv2 restore {journal}" in stderr

    rest = journal.with_name("rest.jsonl")
    run = cloud.remediate(rest, *HERE, "--usage-days", "0")
    assert run.returncode == 0, run.stderr
    assert set(cloud.tokens().values()) == {"required"}
    assert changed.isdisjoint(steps(rest))
    for each in (rest, journal):
        assert cloud.restore(each).returncode == 0
    assert cloud.options() == before


def test_restore_of_selected_instances_and_its_dry_run(cloud, journal):
    first, second = cloud.instances(2)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    run = cloud.restore(journal, "--dry-run", "--instance-id", first)
    assert run.returncode == 1, run.stderr
    assert f"{first}  allowed: set HttpTokens=optional" in run.stdout
    assert cloud.requiring() == {first, second}
    assert cloud.restore(journal, "--instance-id", first).returncode == 0
    assert cloud.requiring() == {second}
    run = cloud.restore(journal, "--instance-id", first)
    assert run.returncode == 2
    assert f"{journal} has no change of {first} that is not restored yet" in run.stderr
    run = cloud.imdsv2("restore", str(journal))
    assert run.returncode == 2
    assert "stdin is not a terminal: pass --yes to apply, or --dry-run" in run.stderr
    assert cloud.requiring() == {second}


def test_journal_is_never_the_output(cloud, journal):
    (each,) = cloud.instances(1)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--output", journal)
    assert run.returncode == 2 and "it is the same file as" in run.stderr
    assert not journal.exists() and cloud.tokens() == {each: "optional"}
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    before = journal.read_bytes()
    run = cloud.restore(journal, "--output", journal)
    assert run.returncode == 2 and "it is the same file as" in run.stderr
    assert journal.read_bytes() == before and cloud.tokens() == {each: "required"}


def test_unknown_instance_id_is_an_error(cloud, journal):
    (each,) = cloud.instances(1)
    unknown = "i-00000000000000000"
    arguments = ("--usage-days", "0", "--instance-id", each, "--instance-id", unknown)
    run = cloud.remediate(journal, *HERE, *arguments)
    assert run.returncode == 2
    message = f"instance {unknown} was not found in the accounts and Regions that could be listed"
    assert message in run.stderr
    assert cloud.tokens() == {each: "required"}


def test_restore_without_credentials_for_the_account_is_reported(cloud, journal):
    (each,) = cloud.instances(1, "us-east-1", OTHER)
    assert cloud.remediate(journal, *HERE, "--usage-days", "0", "--role-arn", OTHER_ROLE).returncode == 0
    run = cloud.restore(journal)
    assert run.returncode == 2
    assert f"{each}: no credentials for account {OTHER}: select it, or pass a role in it" in run.stderr
