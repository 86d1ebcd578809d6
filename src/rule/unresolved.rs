//! Options whose values only a deployment knows.

use std::borrow::Cow;

/// For each option whose value only the deployment of a template or plan decides on, what the value depends on: a phrase
/// such as `Fn::ImportValue`. `None` of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unresolved<'a> {
    /// `HttpTokens`
    pub http_tokens: Option<Cow<'a, str>>,
    /// `HttpEndpoint`
    pub http_endpoint: Option<Cow<'a, str>>,
    /// `HttpPutResponseHopLimit`
    pub hop_limit: Option<Cow<'a, str>>,
}

impl<'a> Unresolved<'a> {
    /// Every option has its value, or is unset.
    pub const NONE: Self = Self { http_tokens: None, http_endpoint: None, hop_limit: None };

    /// Returns that all options depend on `what`.
    #[must_use]
    pub fn all(what: &Cow<'a, str>) -> Self {
        let what = || Some(what.clone());
        Self { http_tokens: what(), http_endpoint: what(), hop_limit: what() }
    }
}

impl Unresolved<'_> {
    /// Returns the same without borrowing.
    #[must_use]
    pub fn into_owned(self) -> Unresolved<'static> {
        let own = |what: Option<Cow<'_, str>>| what.map(|what| Cow::Owned(what.into_owned()));
        Unresolved {
            http_tokens: own(self.http_tokens),
            http_endpoint: own(self.http_endpoint),
            hop_limit: own(self.hop_limit),
        }
    }
}
