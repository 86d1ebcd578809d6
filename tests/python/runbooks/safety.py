"""What no runbook may request."""

from dataclasses import dataclass


@dataclass
class Change:
    """A request to change the metadata options of an instance, and the circumstances."""

    request: dict
    # The options of the instance before the request.
    options: dict
    # The IMDSv1 calls of the instance in the look-back period.
    calls: int = 0
    # Whether the runbook was started with Force.
    forced: bool = False
    # Whether the runbook restores previous options.
    restores: bool = False


def assert_safe(change):
    """Fails if a request lowers the hop limit, enables the endpoint, or blocks an instance that uses IMDSv1.

    A runbook that restores previous options may lower the hop limit, and Force permits blocking an instance.
    """
    request, options = change.request, change.options
    lowered = request.get("HttpPutResponseHopLimit", 64) < options["HttpPutResponseHopLimit"]
    assert not lowered or change.restores, f"{request} lowers the hop limit"
    enabled = request.get("HttpEndpoint") == "enabled" and options["HttpEndpoint"] == "disabled"
    assert not enabled, f"{request} enables the IMDS endpoint"
    blocked = request.get("HttpTokens") == "required" and change.calls and not change.forced
    assert not blocked, f"{request} blocks an instance that made {change.calls} IMDSv1 calls"
