import json, time, sys
from conftest import OTHER, OWN, ROLE
from test_remediate import options
def test_3000(cloud, tmp_path):
    places = [(r, a) for r in ("us-east-1", "eu-west-1", "ap-south-1") for a in (OWN, OTHER)]
    for region, account in places:
        cloud.instances(480, region, account)
        cloud.instances(20, region, account, tokens="required")
    own = f"arn:aws:iam::{OWN}:role/imdsv2-scanner"
    where = ["--role-arn", ROLE, "--role-arn", own, *{f"--region={r}" for r, _ in places}]
    key = lambda run: sorted((e["accountId"], e["region"], e["resourceId"], e["compliance"]) for e in json.loads(run)["evaluations"] if e["resourceType"] == "AWS::EC2::Instance")
    def timed(*a):
        t = time.time(); import subprocess
        r = subprocess.run(*cloud.command(*a), capture_output=True, text=True, **cloud.surroundings())
        print(a[0], f"{time.time()-t:.1f}s", r.returncode, r.stderr.strip().splitlines()[-1:], file=sys.stderr); return r
    first = timed("scan", "--format", "json", *where)
    assert json.loads(first.stdout)["summary"] == {"compliant": 120, "nonCompliant": 2886, "notApplicable": 0}, json.loads(first.stdout)["summary"]
    j = str(tmp_path / "j")
    r = timed("remediate", "--yes", "--journal", j, "--usage-days", "0", "--concurrency", "16", *where)
    assert r.returncode == 0, r.stderr
    after = key(timed("scan", "--format", "json", *where).stdout)
    assert len(after) == 3000 and {e[3] for e in after} == {"COMPLIANT"}
    r = timed("restore", j, "--role-arn", ROLE, "--role-arn", own, "--concurrency", "16")
    assert r.returncode == 0, r.stderr
    assert key(timed("scan", "--format", "json", *where).stdout) == key(first.stdout)
