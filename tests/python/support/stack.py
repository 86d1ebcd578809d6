"""What CloudFormation would make of a template: its functions worked out, for values of its parameters.

It knows the functions that this project's templates use, and refuses any other.
"""

import re

ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "imdsv2",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/imdsv2/1",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()
# What a parameter without a value stands for, by the end of its name.
EXAMPLES = {
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:evaluator",
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/example",
    "AccountId": "222222222222",
    "OrganizationId": "o-a1b2c3d4e5",
    "Regions": f"{REGION},eu-west-1",
    "Region": REGION,
    "Accounts": "333333333333",
    "": "example",
}
# Where what is left of an ARN is not the service, Region, account and name.
ARNS = {
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/{name}",
}
# What a reference to a resource gives, where the template chooses it.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Config::ConfigRule": "ConfigRuleName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SSM::Document": "Name",
}


class Stack:
    """A stack of a template. `conditions` forces every condition, and leaves them to the parameters if None."""

    def __init__(self, template, parameters=None, conditions=None):
        self.template, self.forced = template, conditions
        declared = template.get("Parameters", {})
        defaults = {name: default(name, rule, conditions) for name, rule in declared.items()}
        self.parameters = defaults | (parameters or {})

    def resources(self, kind=None):
        """The properties of the resources that are made, by their names."""
        return {
            name: self.value(resource.get("Properties", {}))
            for name, resource in self.template["Resources"].items()
            if kind in (None, resource["Type"]) and self.is_made(resource)
        }

    def is_made(self, resource):
        return "Condition" not in resource or self.holds(resource["Condition"])

    def holds(self, condition):
        """Whether a condition, by its name or as it is written, holds."""
        if isinstance(condition, str):
            if self.forced is not None:
                return self.forced
            return self.holds(self.template["Conditions"][condition])
        ((function, operands),) = condition.items()
        match function.removeprefix("Fn::"):
            case "Equals":
                return str(self.value(operands[0])) == str(self.value(operands[1]))
            case "Not":
                return not self.holds(operands[0])
            case "And":
                return all(map(self.holds, operands))
            case "Or":
                return any(map(self.holds, operands))
            case "Condition":
                return self.holds(operands)
        raise NotImplementedError(f"{function} in a condition")

    def value(self, written):
        """What a part of the template comes to."""
        if isinstance(written, list):
            return [each for each in map(self.value, written) if each is not NO_VALUE]
        if not isinstance(written, dict):
            return written
        if len(written) == 1:
            ((function, operands),) = written.items()
            if known := getattr(self, f"fn_{function.removeprefix('Fn::')}", None):
                return known(operands)
            if function.startswith("Fn::"):
                raise NotImplementedError(function)
        values = {key: self.value(each) for key, each in written.items()}
        return {key: each for key, each in values.items() if each is not NO_VALUE}

    def fn_Ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.parameters:
            value = self.parameters[name]
            is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return value.split(",") if is_list else value
        return self.name(name)

    def fn_GetAtt(self, path):
        name, attribute = path.split(".", 1) if isinstance(path, str) else path
        kind = self.template["Resources"][name]["Type"]
        if attribute != "Arn":
            return self.name(name)
        pattern = ARNS.get(kind, "arn:aws:{service}:{region}:{account}:{name}")
        return pattern.format(
            service=kind.split("::")[1].lower(), region=REGION, account=ACCOUNT, name=self.name(name)
        )

    def fn_Sub(self, written):
        text, given = written if isinstance(written, list) else (written, {})

        def fill(match):
            name = match[1]
            value = (
                self.value(given[name])
                if name in given
                else self.fn_GetAtt(name)
                if "." in name
                else self.fn_Ref(name)
            )
            return ",".join(value) if isinstance(value, list) else str(value)

        return re.sub(r"\$\{!", "${", re.sub(r"\$\{(?!!)([^}]+)\}", fill, text))

    def fn_If(self, operands):
        condition, then, otherwise = operands
        return self.value(then if self.holds(condition) else otherwise)

    def fn_Join(self, operands):
        return operands[0].join(map(str, self.value(operands[1])))

    def fn_Split(self, operands):
        return self.value(operands[1]).split(operands[0])

    def fn_Select(self, operands):
        return self.value(operands[1])[int(operands[0])]

    def fn_FindInMap(self, operands):
        name, first, second = map(self.value, operands)
        return self.template["Mappings"][name][first][second]

    def name(self, resource):
        """The name of a resource: its own, or its logical one where CloudFormation makes it up."""
        declared = self.template["Resources"][resource]
        own = declared.get("Properties", {}).get(NAMES.get(declared["Type"]))
        return self.value(own) if own else resource


def default(name, rule, conditions):
    """The default, or an example of what may be given where there is none, or everything optional is wanted."""
    value = rule.get("Default")
    if value not in (None, "") or (value == "" and not conditions):
        return value
    if "AllowedValues" in rule:
        return rule["AllowedValues"][0]
    return next(example for ending, example in EXAMPLES.items() if name.endswith(ending))
