//! The first version of each AWS SDK and tool that uses IMDSv2.
//!
//! Unless a row says otherwise, its versions are the minimum versions that AWS lists
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/use-a-supported-sdk-version-for-imdsv2.html>).

/// An AWS SDK, or a tool that is used like one.
#[derive(Debug, PartialEq, Eq)]
pub struct Sdk {
    /// The name that people know it by.
    pub name: &'static str,
    /// Its product names in user agents. One that ends in `-` or `.` is the beginning of several names.
    pub(super) products: &'static [&'static str],
    pub(super) imdsv2: Imdsv2,
}

/// Which versions of an SDK use IMDSv2.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Imdsv2 {
    /// Those from this one on; for several major versions, the first of each, in ascending order.
    Since(&'static [&'static [u32]]),
    /// As `Since`, but the versions in user agents that begin with `unclear` cannot be compared with it.
    SinceUnless { first: &'static [&'static [u32]], unclear: &'static [u32] },
    /// None.
    Never,
    /// All, and none uses IMDSv1.
    Only,
}

/// The products that AWS lists, and others that user agents name.
pub(super) const SDKS: [Sdk; 16] = [
    Sdk { name: "AWS CLI", products: &["aws-cli"], imdsv2: Imdsv2::Since(&[&[1, 16, 289]]) },
    Sdk { name: "Boto3", products: &["Boto3"], imdsv2: Imdsv2::Since(&[&[1, 12, 6]]) },
    Sdk { name: "Botocore", products: &["Botocore"], imdsv2: Imdsv2::Since(&[&[1, 13, 25]]) },
    // The last release is from 2018, and IMDSv2 from November 2019 (<https://github.com/boto/boto/releases>).
    Sdk { name: "Boto", products: &["Boto"], imdsv2: Imdsv2::Never },
    Sdk {
        name: "AWS SDK for Java",
        products: &["aws-sdk-java"],
        imdsv2: Imdsv2::Since(&[&[1, 11, 678], &[2, 10, 21]]),
    },
    Sdk { name: "AWS SDK for Go", products: &["aws-sdk-go"], imdsv2: Imdsv2::Since(&[&[1, 25, 38]]) },
    Sdk { name: "AWS SDK for Go v2", products: &["aws-sdk-go-v2"], imdsv2: Imdsv2::Since(&[&[0, 19, 0]]) },
    Sdk {
        name: "AWS SDK for JavaScript",
        products: &["aws-sdk-nodejs", "aws-sdk-js"],
        imdsv2: Imdsv2::Since(&[&[2, 722, 0]]),
    },
    Sdk {
        name: "AWS SDK for PHP",
        products: &["aws-sdk-php", "aws-sdk-php2"],
        imdsv2: Imdsv2::Since(&[&[3, 147, 7]]),
    },
    Sdk {
        name: "AWS SDK for Ruby",
        products: &["aws-sdk-ruby", "aws-sdk-ruby2", "aws-sdk-ruby3"],
        imdsv2: Imdsv2::Since(&[&[3, 79, 0]]),
    },
    Sdk { name: "AWS SDK for C++", products: &["aws-sdk-cpp"], imdsv2: Imdsv2::Since(&[&[1, 7, 229]]) },
    // 3.3.634.1 is a release of the whole SDK. A user agent has the version of an assembly, which counts otherwise
    // within 3.3.
    Sdk {
        name: "AWS SDK for .NET",
        products: &["aws-sdk-dotnet-"],
        imdsv2: Imdsv2::SinceUnless { first: &[&[3, 3, 634, 1]], unclear: &[3, 3] },
    },
    Sdk {
        name: "AWS Tools for PowerShell",
        products: &["AWSPowerShell", "AWSPowerShell."],
        imdsv2: Imdsv2::Since(&[&[4, 0, 1, 0]]),
    },
    // New SDKs do not support IMDSv1
    // (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html>).
    Sdk { name: "AWS SDK for Kotlin", products: &["aws-sdk-kotlin"], imdsv2: Imdsv2::Only },
    Sdk { name: "AWS SDK for Rust", products: &["aws-sdk-rust"], imdsv2: Imdsv2::Only },
    Sdk { name: "AWS SDK for Swift", products: &["aws-sdk-swift"], imdsv2: Imdsv2::Only },
];
