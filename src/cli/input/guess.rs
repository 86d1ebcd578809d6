//! What an input that is not read here looks like, for the error that says so.

/// Texts that an input has, each of them somewhere, and what it looks like then.
type Sign = (&'static [&'static str], &'static str);

const SHOW: &str = "evaluate the output of `terraform show -json` instead";

/// The most exact signs first.
const SIGNS: [Sign; 18] = [
    (&["PK\u{3}\u{4}"], "a zip archive, such as a saved Terraform plan"),
    (&["resource \"aws_"], "Terraform code"),
    (&["provider \"aws\""], "Terraform code"),
    (&["module \"", "source"], "Terraform code"),
    (&["\"@level\"", "\"@message\""], "the log of `terraform plan -json`"),
    (
        &["\"StackResources\""],
        "the resources of a stack: evaluate the output of `aws cloudformation get-template` instead",
    ),
    (
        &["\"Stacks\"", "StackId"],
        "a description of stacks: evaluate the output of `aws cloudformation get-template` instead",
    ),
    (&["\"EvaluationResults\""], "results of AWS Config: evaluate the resources themselves"),
    (&["\"evaluations\"", "\"summary\""], "the output of `imdsv2 --format json`"),
    (&["\"Findings\"", "\"SchemaVersion\""], "findings of Security Hub"),
    (&["\"Statement\"", "\"Effect\""], "an IAM policy"),
    (&["apiVersion", "kind"], "a Kubernetes manifest"),
    (&["{{", "}}", ".Values"], "a Helm template"),
    (&["schemaVersion", "mainSteps"], "a Systems Manager document"),
    (&["services:", "image:"], "a Docker Compose file"),
    (&["jobs:", "runs-on"], "a GitHub workflow"),
    (&["hosts:", "tasks:"], "an Ansible playbook"),
    (&["provider:", "functions:"], "a Serverless Framework file"),
];

/// Returns what the start of an input looks like, if it is something well known, and what to do.
pub(crate) fn looks_like(start: &str) -> Option<String> {
    let (_, what) = SIGNS.iter().find(|(texts, _)| texts.iter().all(|text| start.contains(text)))?;
    let is_terraform = what.to_lowercase().contains("terraform");
    Some(if is_terraform { format!("{what}: {SHOW}") } else { (*what).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files_are_named() {
        for (start, expected) in [
            (
                "resource \"aws_instance\" \"web\" {",
                Some("Terraform code: evaluate the output of `terraform show -json` instead"),
            ),
            ("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"}]}", Some("an IAM policy")),
            ("apiVersion: v1\nkind: Pod", Some("a Kubernetes manifest")),
            ("{\"evaluations\":[],\"summary\":{}}", Some("the output of `imdsv2 --format json`")),
            ("hello", None),
        ] {
            assert_eq!(looks_like(start).as_deref(), expected, "{start}");
        }
    }
}
