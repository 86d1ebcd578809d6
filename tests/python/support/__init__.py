"""What more than one suite uses.

- `repository`: the paths of the repository that tests read.
- `moto_server`: the fixture that serves EC2, CloudWatch and the other services of AWS; `moto_gaps`: what moto lacks.
- `loopback`: a small HTTP server; `cloudwatch_bridge` and `automation_bridge` serve what moto does not.
- `runbook_executor`: executes a runbook, step by step.
- `templates`: reads CloudFormation templates; `stack`: evaluates one for given parameters.
- `journal`: reads the journal that `imdsv2 remediate` writes.
"""
