//! The controls of Security Hub that ask for the same as this rule, and the requirements that they answer.
//!
//! The ids are those that Security Hub lists
//! (<https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html>,
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/autoscaling-controls.html>), as of November 2026.

/// A control of Security Hub.
#[derive(Debug, PartialEq, Eq)]
pub struct Control {
    /// The id, such as `EC2.8`.
    pub id: &'static str,
    /// The type of the resources that it checks.
    pub resource_type: &'static str,
    /// The requirements that it answers.
    pub requirements: &'static [Requirement],
}

/// A requirement of a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The standard, with its version.
    pub standard: &'static str,
    /// Standard and requirement, as Security Hub writes them.
    pub name: &'static str,
}

const fn cis(name: &'static str, standard: &'static str) -> Requirement {
    Requirement { standard, name }
}

const fn nist(name: &'static str) -> Requirement {
    Requirement { standard: "NIST.800-53.r5", name }
}

const PCI_DSS: Requirement = Requirement { standard: "PCI DSS v4.0.1", name: "PCI DSS v4.0.1/2.2.6" };

/// All controls.
pub const CONTROLS: [Control; 3] = [
    Control {
        id: "EC2.8",
        resource_type: "AWS::EC2::Instance",
        requirements: &[
            cis("CIS AWS Foundations Benchmark v5.0.0/5.7", "CIS AWS Foundations Benchmark v5.0.0"),
            cis("CIS AWS Foundations Benchmark v3.0.0/5.6", "CIS AWS Foundations Benchmark v3.0.0"),
            nist("NIST.800-53.r5 AC-3"),
            nist("NIST.800-53.r5 AC-3(15)"),
            nist("NIST.800-53.r5 AC-3(7)"),
            nist("NIST.800-53.r5 AC-6"),
            PCI_DSS,
        ],
    },
    Control { id: "EC2.170", resource_type: "AWS::EC2::LaunchTemplate", requirements: &[PCI_DSS] },
    Control {
        id: "AutoScaling.3",
        resource_type: "AWS::AutoScaling::LaunchConfiguration",
        requirements: &[
            nist("NIST.800-53.r5 AC-3"),
            nist("NIST.800-53.r5 AC-3(15)"),
            nist("NIST.800-53.r5 AC-3(7)"),
            nist("NIST.800-53.r5 AC-6"),
            nist("NIST.800-53.r5 CA-9(1)"),
            nist("NIST.800-53.r5 CM-2"),
            PCI_DSS,
        ],
    },
];

/// Returns the control that checks resources of a type. Security Hub has none for Auto Scaling groups and for account-level
/// defaults.
#[must_use]
pub fn control_of(resource_type: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| control.resource_type == resource_type)
}

impl Control {
    /// Returns the standards of its requirements, each once.
    #[must_use]
    pub fn standards(&self) -> Vec<&'static str> {
        let mut standards: Vec<_> =
            self.requirements.iter().map(|requirement| requirement.standard).collect();
        standards.dedup();
        standards
    }

    /// Returns its requirements, as Security Hub writes them.
    pub fn requirement_names(&self) -> impl Iterator<Item = &'static str> {
        self.requirements.iter().map(|requirement| requirement.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_begins_with_its_standard() {
        for requirement in CONTROLS.iter().flat_map(|control| control.requirements) {
            assert!(requirement.name.starts_with(requirement.standard), "{requirement:?}");
        }
        assert_eq!(CONTROLS[0].standards().len(), 4);
        assert_eq!(control_of("AWS::AutoScaling::AutoScalingGroup"), None);
    }

    /// Returns the requirements of some controls, each once, by standard.
    fn in_words(controls: &[&Control]) -> String {
        let mut all: Vec<&Requirement> = Vec::new();
        for requirement in controls.iter().flat_map(|control| control.requirements) {
            if !all.contains(&requirement) {
                all.push(requirement);
            }
        }
        let by_standard = all.chunk_by(|a, b| a.standard == b.standard).map(|group| {
            let names = group.iter().map(|each| each.name.trim_start_matches(each.standard));
            format!("{}{}", group[0].standard, names.collect::<Vec<_>>().join(","))
        });
        by_standard.collect::<Vec<_>>().join("; ")
    }

    /// What people read is not generated, but says the same.
    #[test]
    fn the_documentation_and_the_rules_name_the_same_controls_and_requirements() {
        const PAGE: &str = include_str!("../../docs/auditors.md");
        const TEMPLATE: &str = include_str!("../../cloudformation/rule.yaml");
        for control in &CONTROLS {
            let requirements: Vec<_> = control.requirement_names().collect();
            let row =
                format!("| {} | `{}` | {} |", control.id, control.resource_type, requirements.join(", "));
            assert!(PAGE.contains(&row), "docs/auditors.md lacks: {row}");
        }
        let template = TEMPLATE.split_whitespace().collect::<Vec<_>>().join(" ");
        let [instances, templates, configurations] = &CONTROLS;
        for (ids, controls) in
            [("EC2.8", vec![instances]), ("EC2.170 and AutoScaling.3", vec![configurations, templates])]
        {
            let sentence = format!("Answers the requirements of {ids}: {}", in_words(&controls));
            assert!(template.contains(&sentence), "rule.yaml lacks: {sentence}");
        }
    }
}
