"""Modules that more than one suite uses.

- `repository`: the paths of the repository.
- `cloud`: AWS accounts on the moto server; `command_line`: the built `imdsv2`, which works in them.
- `moto_server`: the fixture that starts moto; `moto_gaps`: behavior of AWS that moto lacks.
- `loopback`: a small HTTP server; `cloudwatch_bridge`, `automation_bridge`: services in front of moto.
- `terminal`: a terminal in which `imdsv2` runs, and its screen.
- `recorded_calls`: the calls of the command line; `operations`: writes observed operations to target/calls/.
- `journal`: the journal that `imdsv2 remediate` writes.
- `runbooks`: reads the runbooks; `runbook_executor`: executes one, step by step.
- `templates`: reads the CloudFormation templates; `stack`: evaluates one for given parameters.
"""
