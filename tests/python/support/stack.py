"""Evaluates a CloudFormation template for given parameters.

It supports the functions that the templates of this project use. Any other raises NotImplementedError.
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
# Values for parameters without a default, by the end of their names.
EXAMPLES = {
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "AccountId": "222222222222",
    "OrganizationId": "o-a1b2c3d4e5",
    "Regions": f"{REGION},eu-west-1",
    "Region": REGION,
    "Accounts": "333333333333",
    "": "example",
}
# The ARNs that do not consist of service, Region, account and name.
ARNS = {
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/{name}",
}
# The properties with which a template names a resource. A reference to the resource returns the name.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Config::ConfigRule": "ConfigRuleName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SSM::Document": "Name",
}


class Stack:
    """A stack of a template with these parameters.

    `conditions` sets the result of every condition. If it is None, the parameters decide.
    """

    def __init__(self, template, parameters=None, conditions=None):
        self.template, self.forced = template, conditions
        declared = template.get("Parameters", {})
        defaults = {name: default(name, rule, conditions) for name, rule in declared.items()}
        self.parameters = defaults | (parameters or {})

    def resources(self, kind=None):
        """Returns the properties of the resources that the stack contains, by logical id."""
        return {
            name: self.value(resource.get("Properties", {}))
            for name, resource in self.template["Resources"].items()
            if kind in (None, resource["Type"]) and self.contains(resource)
        }

    def only(self, kind):
        """Returns the properties of the only resource of a type."""
        (properties,) = self.resources(kind).values()
        return properties

    def statements(self, role):
        """Returns the statements of the policies in a role."""
        policies = self.resources("AWS::IAM::Role")[role]["Policies"]
        return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]

    def contains(self, resource):
        return "Condition" not in resource or self.holds(resource["Condition"])

    def holds(self, condition):
        """Evaluates a condition, which is a name or an expression."""
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

    def value(self, part):
        """Evaluates a part of the template."""
        if isinstance(part, list):
            return [each for each in map(self.value, part) if each is not NO_VALUE]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((function, operands),) = part.items()
            if evaluate := FUNCTIONS.get(function.removeprefix("Fn::")):
                return evaluate(self, operands)
            if function.startswith("Fn::"):
                raise NotImplementedError(function)
        values = {key: self.value(each) for key, each in part.items()}
        return {key: each for key, each in values.items() if each is not NO_VALUE}

    def ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.parameters:
            value = self.parameters[name]
            is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return value.split(",") if is_list else value
        return self.name(name)

    def get_att(self, path):
        """Returns an ARN. For any other attribute, the name of the resource takes its place."""
        name, attribute = path.split(".", 1) if isinstance(path, str) else path
        if attribute != "Arn":
            return self.name(name)
        kind = self.template["Resources"][name]["Type"]
        pattern = ARNS.get(kind, "arn:aws:{service}:{region}:{account}:{name}")
        service = kind.split("::")[1].lower()
        return pattern.format(service=service, region=REGION, account=ACCOUNT, name=self.name(name))

    def sub(self, operands):
        text, variables = operands if isinstance(operands, list) else (operands, {})

        def replacement(match):
            name = match[1]
            if name in variables:
                value = self.value(variables[name])
            else:
                value = self.get_att(name) if "." in name else self.ref(name)
            return ",".join(value) if isinstance(value, list) else str(value)

        return re.sub(r"\$\{!", "${", re.sub(r"\$\{(?!!)([^}]+)\}", replacement, text))

    def if_(self, operands):
        condition, then, otherwise = operands
        return self.value(then if self.holds(condition) else otherwise)

    def join(self, operands):
        return operands[0].join(map(str, self.value(operands[1])))

    def split(self, operands):
        return self.value(operands[1]).split(operands[0])

    def select(self, operands):
        return self.value(operands[1])[int(operands[0])]

    def find_in_map(self, operands):
        name, first, second = map(self.value, operands)
        return self.template["Mappings"][name][first][second]

    def name(self, resource):
        """Returns the name that the template gives a resource, or its logical id."""
        declared = self.template["Resources"][resource]
        own = declared.get("Properties", {}).get(NAMES.get(declared["Type"]))
        return self.value(own) if own else resource


FUNCTIONS = {
    "Ref": Stack.ref,
    "GetAtt": Stack.get_att,
    "Sub": Stack.sub,
    "If": Stack.if_,
    "Join": Stack.join,
    "Split": Stack.split,
    "Select": Stack.select,
    "FindInMap": Stack.find_in_map,
}


def default(name, rule, conditions):
    """Returns the default of a parameter.

    Returns an example if there is no default, or if the default is empty and `conditions` holds.
    """
    value = rule.get("Default")
    if value not in (None, "") or (value == "" and not conditions):
        return value
    if "AllowedValues" in rule:
        return rule["AllowedValues"][0]
    return next(example for ending, example in EXAMPLES.items() if name.endswith(ending))
