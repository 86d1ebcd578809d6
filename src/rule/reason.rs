//! Why a resource has its compliance type, in a few words: for tables, filters and groups.

use std::fmt;

use serde::{Serialize, Serializer};

use super::verdict::Compliance;

/// The line of the verdict table that applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// `HttpTokens` is `optional`.
    TokensOptional,
    /// `HttpTokens` is not set or not recorded.
    TokensNotSet,
    /// `HttpTokens` has an unknown value.
    TokensUnknown,
    /// `HttpTokens` is `required`, and the hop limit is above the maximum.
    HopLimit,
    /// `HttpTokens` is `required`.
    TokensRequired,
    /// `HttpTokens` is `required`, and the change is not in effect yet.
    ChangePending,
    /// `HttpTokens` is not set, and the account-level default or the AMI requires tokens.
    RequiredByDefault,
    /// The IMDS endpoint is disabled.
    EndpointDisabled,
    /// EC2 refuses launches that allow IMDSv1.
    TokensEnforced,
    /// EC2 would refuse the launch if it enforced IMDSv2.
    LaunchRefused,
    /// EC2 may refuse the launch if it enforced IMDSv2: that depends on an AMI that is not known.
    LaunchMayBeRefused,
    /// EC2 would allow the launch if it enforced IMDSv2.
    LaunchAllowed,
    /// The exemption tag applies.
    Exempt,
    /// The resource was deleted, or EC2 does not know it.
    Gone,
    /// The instance is `shutting-down` or `terminated`.
    Terminated,
    /// AWS Config does not record the resource, or reports an unknown status.
    NotRecorded,
    /// The resource left the scope of the rule.
    LeftScope,
    /// What an Auto Scaling group launches instances from was not read.
    SourceUnknown,
    /// What an Auto Scaling group launches instances from no longer exists.
    SourceGone,
    /// Only the deployment of a template or plan decides on an option.
    Unresolved,
    /// The rule does not evaluate resources of this type.
    TypeNotEvaluated,
}

impl Reason {
    /// Returns the compliance type that follows.
    #[must_use]
    pub fn compliance(self) -> Compliance {
        match self {
            Self::TokensOptional
            | Self::TokensNotSet
            | Self::TokensUnknown
            | Self::HopLimit
            | Self::LaunchRefused
            | Self::LaunchMayBeRefused => Compliance::NonCompliant,
            Self::TokensRequired
            | Self::ChangePending
            | Self::RequiredByDefault
            | Self::LaunchAllowed
            | Self::EndpointDisabled
            | Self::TokensEnforced => Compliance::Compliant,
            Self::Exempt
            | Self::Gone
            | Self::Terminated
            | Self::NotRecorded
            | Self::LeftScope
            | Self::SourceUnknown
            | Self::SourceGone
            | Self::Unresolved
            | Self::TypeNotEvaluated => Compliance::NotApplicable,
        }
    }

    /// Returns the reason in at most three words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokensOptional => "tokens optional",
            Self::TokensNotSet => "tokens not set",
            Self::TokensUnknown => "tokens unknown",
            Self::HopLimit => "hop limit",
            Self::TokensRequired => "tokens required",
            Self::ChangePending => "change pending",
            Self::RequiredByDefault => "required by default",
            Self::EndpointDisabled => "IMDS disabled",
            Self::TokensEnforced => "tokens enforced",
            Self::LaunchRefused => "launch refused",
            Self::LaunchMayBeRefused => "may be refused",
            Self::LaunchAllowed => "launch allowed",
            Self::Exempt => "exempt",
            Self::Gone => "gone",
            Self::Terminated => "terminated",
            Self::NotRecorded => "not recorded",
            Self::LeftScope => "left scope",
            Self::SourceUnknown => "source unknown",
            Self::SourceGone => "source gone",
            Self::Unresolved => "known at deployment",
            Self::TypeNotEvaluated => "other type",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_compliance_type_and_a_few_words() {
        for (reason, compliance, words) in [
            (Reason::TokensOptional, Compliance::NonCompliant, "tokens optional"),
            (Reason::TokensNotSet, Compliance::NonCompliant, "tokens not set"),
            (Reason::TokensUnknown, Compliance::NonCompliant, "tokens unknown"),
            (Reason::HopLimit, Compliance::NonCompliant, "hop limit"),
            (Reason::TokensRequired, Compliance::Compliant, "tokens required"),
            (Reason::ChangePending, Compliance::Compliant, "change pending"),
            (Reason::RequiredByDefault, Compliance::Compliant, "required by default"),
            (Reason::EndpointDisabled, Compliance::Compliant, "IMDS disabled"),
            (Reason::TokensEnforced, Compliance::Compliant, "tokens enforced"),
            (Reason::LaunchRefused, Compliance::NonCompliant, "launch refused"),
            (Reason::LaunchMayBeRefused, Compliance::NonCompliant, "may be refused"),
            (Reason::LaunchAllowed, Compliance::Compliant, "launch allowed"),
            (Reason::Exempt, Compliance::NotApplicable, "exempt"),
            (Reason::Gone, Compliance::NotApplicable, "gone"),
            (Reason::Terminated, Compliance::NotApplicable, "terminated"),
            (Reason::NotRecorded, Compliance::NotApplicable, "not recorded"),
            (Reason::LeftScope, Compliance::NotApplicable, "left scope"),
            (Reason::SourceUnknown, Compliance::NotApplicable, "source unknown"),
            (Reason::SourceGone, Compliance::NotApplicable, "source gone"),
            (Reason::Unresolved, Compliance::NotApplicable, "known at deployment"),
            (Reason::TypeNotEvaluated, Compliance::NotApplicable, "other type"),
        ] {
            assert_eq!((reason.compliance(), reason.as_str()), (compliance, words));
            assert_eq!(serde_json::to_string(&reason).expect("JSON"), format!("\"{words}\""));
            assert_eq!(format!("{reason:>16}").trim_start(), words);
        }
    }
}
