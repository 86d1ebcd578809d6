"""A rule for configuration changes on rdklib, which cold_start.py measures."""

from rdklib import ComplianceType, ConfigRule, Evaluation, Evaluator


class RequireIMDSv2(ConfigRule):
    def evaluate_change(self, _event, _client_factory, configuration_item, _parameters):
        required = configuration_item["configuration"]["metadataOptions"]["httpTokens"] == "required"
        return [Evaluation(ComplianceType.COMPLIANT if required else ComplianceType.NON_COMPLIANT)]

    def get_assume_role_mode(self, _event):
        return False  # with the function's own credentials, like the others


def handler(event, context):
    return Evaluator(RequireIMDSv2(), ["AWS::EC2::Instance"]).handle(event, context)
