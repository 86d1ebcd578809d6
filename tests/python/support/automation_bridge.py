"""Serves the executions of Systems Manager Automation, which moto lacks, with the runbook executor."""

import json
import threading
import time
import uuid
from threading import Thread

from botocore import xform_name

from support.loopback import region, serving
from support.recorded_calls import record
from support.runbook_executor import Execution, Runbook, StartError

PAGE = 2
# The number of steps above which an execution is returned without all of them.
SHOWN_STEPS = 3


class Automation:
    """The executions of one document. An execution with targets has a child execution for each target.

    A method answers the operation of its name. Its arguments are the Region and the request.
    """

    def __init__(self, document, client):
        """`client(service, region)` returns the boto3 client that the document uses."""
        self.document, self.client = document, client
        self.executions, self.requests = {}, []
        # Cleared by a test, it delays the next child execution until it is set again.
        self.may_continue = threading.Event()
        self.may_continue.set()

    def describe_document(self, _region, request):
        parameters = [
            {
                "Name": name,
                "Type": rule["type"],
                **({"DefaultValue": str(rule["default"])} if "default" in rule else {}),
            }
            for name, rule in Runbook(self.document).document["parameters"].items()
        ]
        return {"Document": {"Name": request["Name"], "Parameters": parameters}}

    def start_automation_execution(self, region, request):
        (target,) = request["Targets"]
        assert target["Key"] == "ParameterValues"
        assert 1 <= len(target["Values"]) <= 50
        self.requests.append(request)
        execution = self.add_execution(None, request.get("Parameters", {}))
        arguments = (execution, region, request, target["Values"])
        Thread(target=self.execute, args=arguments, daemon=True).start()
        return {"AutomationExecutionId": execution["AutomationExecutionId"]}

    def add_execution(self, parent, parameters):
        execution = {
            "AutomationExecutionId": str(uuid.uuid4()),
            "AutomationExecutionStatus": "InProgress",
            "Parameters": parameters,
            "Parent": parent,
        }
        return self.executions.setdefault(execution["AutomationExecutionId"], execution)

    def execute(self, parent, region, request, instances):
        """Runs the document for one instance after the other, until it is stopped or fails too often."""
        failures = 0
        for instance in instances:
            self.may_continue.wait()
            if "stop" in parent or failures > int(request["MaxErrors"]):
                break
            parameters = request.get("Parameters", {}) | {request["TargetParameterName"]: [instance]}
            child = self.add_execution(parent["AutomationExecutionId"], parameters)
            try:
                result = Runbook(self.document).run(lambda service: self.client(service, region), parameters)
            except StartError as error:
                result = Execution("Failed", [str(error)])
            failures += result.status != "Success"
            child |= {
                "AutomationExecutionStatus": result.status,
                "FailureMessage": "; ".join(result.failures),
                "StepExecutions": self.step_executions(result),
                "Outputs": {name: [str(value)] for name, value in result.outputs.items()},
            }
        parent["AutomationExecutionStatus"] = "Failed" if failures else parent.get("stop", "Success")

    def step_executions(self, result):
        """Returns all steps. One that was not started is pending, and has no start time."""
        steps = []
        for step in Runbook(self.document).document["mainSteps"]:
            name = step["name"]
            if name in result.steps:
                failed = result.status != "Success" and name == result.steps[-1]
                status = "Failed" if failed else "Success"
                steps.append({"StepName": name, "StepStatus": status, "ExecutionStartTime": time.time()})
            else:
                steps.append({"StepName": name, "StepStatus": "Pending"})
        return steps

    def get_automation_execution(self, _region, request):
        execution = dict(self.executions[request["AutomationExecutionId"]])
        del execution["Parent"]
        if len(execution.get("StepExecutions", [])) > SHOWN_STEPS:
            execution["StepExecutions"] = execution["StepExecutions"][:SHOWN_STEPS]
            execution["StepExecutionsTruncated"] = True
        return {"AutomationExecution": execution}

    def describe_automation_step_executions(self, _region, request):
        return {"StepExecutions": self.executions[request["AutomationExecutionId"]]["StepExecutions"]}

    def describe_automation_executions(self, _region, request):
        (criterion,) = request["Filters"]
        assert criterion["Key"] == "ParentExecutionId"
        ids = [each for each, child in self.executions.items() if child["Parent"] in criterion["Values"]]
        start = int(request.get("NextToken", 0))
        end = start + PAGE
        page = [{"AutomationExecutionId": each} for each in ids[start:end]]
        more = {"NextToken": str(end)} if end < len(ids) else {}
        return {"AutomationExecutionMetadataList": page} | more

    def stop_automation_execution(self, _region, request):
        assert request["Type"] == "Complete"
        self.executions[request["AutomationExecutionId"]]["stop"] = "Cancelled"
        self.may_continue.set()
        return {}


def bridge(automation):
    """Serves the operations of an `Automation`."""

    def answer(request, body):
        name = request.headers["X-Amz-Target"].split(".")[1]
        record(request.headers, "ssm", name)
        operation = xform_name(name)
        response = getattr(automation, operation)(region(request), json.loads(body))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(response).encode()

    return serving(answer)
