"""Systems Manager's Automation in front of moto, which knows documents and does not execute them: runs are
executed by the interpreter that the runbooks' own tests use."""

import json
import threading
import uuid
from threading import Thread

from support.loopback import region, serving
from support.runbook_executor import Refused, Runbook


class Automation:
    """The runs of a document, each target's below the run that was asked for."""

    def __init__(self, document, client):
        self.document, self.client = document, client
        self.runs, self.requests, self.hold = {}, [], threading.Event()
        self.hold.set()

    def DescribeDocument(self, region, Name):
        parameters = [
            {
                "Name": name,
                "Type": rule["type"],
                **({"DefaultValue": str(rule["default"])} if "default" in rule else {}),
            }
            for name, rule in Runbook(self.document).document["parameters"].items()
        ]
        return {"Document": {"Name": Name, "Parameters": parameters}}

    def StartAutomationExecution(self, region, **request):
        (target,) = request["Targets"]
        assert target["Key"] == "ParameterValues"
        assert 1 <= len(target["Values"]) <= 50
        self.requests.append(request)
        run = self.begin(None, request.get("Parameters", {}))
        Thread(target=self.work, args=(run, region, request, target["Values"]), daemon=True).start()
        return {"AutomationExecutionId": run["AutomationExecutionId"]}

    def begin(self, parent, parameters):
        run = {
            "AutomationExecutionId": str(uuid.uuid4()),
            "AutomationExecutionStatus": "InProgress",
            "Parameters": parameters,
            "Parent": parent,
        }
        return self.runs.setdefault(run["AutomationExecutionId"], run)

    def work(self, parent, region, request, instances):
        failures = 0
        for instance in instances:
            self.hold.wait()
            if "stop" in parent or failures > int(request["MaxErrors"]):
                break
            parameters = request.get("Parameters", {}) | {request["TargetParameterName"]: [instance]}
            run = self.begin(parent["AutomationExecutionId"], parameters)
            try:
                came = Runbook(self.document).run(lambda service: self.client(service, region), parameters)
                status, reason = came.status, "; ".join(came.failures)
            except Refused as refused:
                status, reason = "Failed", str(refused)
            failures += status != "Success"
            run |= {"AutomationExecutionStatus": status, "FailureMessage": reason}
        parent["AutomationExecutionStatus"] = "Failed" if failures else parent.get("stop", "Success")

    def GetAutomationExecution(self, region, AutomationExecutionId):
        run = dict(self.runs[AutomationExecutionId])
        del run["Parent"]
        return {"AutomationExecution": run}

    def DescribeAutomationExecutions(self, region, Filters, NextToken="0"):
        (filter_,) = Filters
        assert filter_["Key"] == "ParentExecutionId"
        found = [each for each, run in self.runs.items() if run["Parent"] in filter_["Values"]]
        start, end = int(NextToken), int(NextToken) + 2
        page = [{"AutomationExecutionId": each} for each in found[start:end]]
        return {"AutomationExecutionMetadataList": page} | (
            {"NextToken": str(end)} if end < len(found) else {}
        )

    def StopAutomationExecution(self, region, AutomationExecutionId, Type):
        assert Type == "Complete"
        self.runs[AutomationExecutionId]["stop"] = "Cancelled"
        self.hold.set()
        return {}


def bridge(automation):
    """Serves it."""

    def answer(request, body):
        operation = getattr(automation, request.headers["X-Amz-Target"].split(".")[1])
        found = operation(region(request), **json.loads(body))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(found).encode()

    return serving(answer)
