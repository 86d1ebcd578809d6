//! Access to AWS: clients, assumed roles, errors.
//!
//! Everything standard comes from the SDK: environment variables, profiles, `AWS_ENDPOINT_URL` and its
//! per-service forms, the Region.
//!
//! - [`clients`]: the one place where clients are made, with timeouts and retries.
//! - [`http`]: TLS, and the certificate authorities that it trusts.
//! - [`assume_role`]: the one place where roles are assumed.
//! - [`error`]: [`ApiError`], a call to AWS that failed.
//! - [`in_flight`]: the calls that AWS has not answered yet.
//! - [`iam`]: the IAM actions that calls need.

pub mod assume_role;
pub mod clients;
pub mod error;
pub mod http;
pub mod iam;
pub mod in_flight;

pub use self::assume_role::RoleArn;
pub use self::error::ApiError;
pub use self::in_flight::CallsInFlight;
