//! The calls that AWS has not answered yet: who runs out of time can name them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ec2::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use super::error::innermost;

/// The calls in flight, by operation. As an interceptor of a client, it follows the calls of that client. Clones share
/// what they record.
#[derive(Clone, Debug, Default)]
pub struct CallsInFlight(Arc<Mutex<BTreeMap<Cow<'static, str>, Calls>>>);

/// The calls of one operation.
#[derive(Debug, Default)]
struct Calls {
    in_flight: usize,
    failed_attempts: usize,
    /// Why the last attempt failed.
    last_failure: String,
}

impl CallsInFlight {
    /// Forgets all calls: those of an invocation that was stopped never end.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Records the start of a call.
    pub fn begin(&self, operation: impl Into<Cow<'static, str>>) {
        self.lock().entry(operation.into()).or_default().in_flight += 1;
    }

    /// Records the end of a call. A call that nobody waits for any more has none.
    pub fn end(&self, operation: &str) {
        let mut calls = self.lock();
        if let Some(of) = calls.get_mut(operation) {
            of.in_flight = of.in_flight.saturating_sub(1);
            if of.in_flight == 0 {
                calls.remove(operation);
            }
        }
    }

    /// Records why an attempt of a call failed.
    pub fn attempt_failed(&self, operation: &str, failure: String) {
        if let Some(of) = self.lock().get_mut(operation) {
            of.failed_attempts += 1;
            of.last_failure = failure;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cow<'static, str>, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the operations, each with its failed attempts. Without calls, it is empty.
impl fmt::Display for CallsInFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (operation, calls)) in self.lock().iter().enumerate() {
            write!(f, "{}{operation}", if index == 0 { "" } else { ", " })?;
            match (calls.failed_attempts, &calls.last_failure) {
                (0, _) => {}
                (1, failure) => write!(f, " (an attempt failed: {failure})")?,
                (failed, failure) => write!(f, " ({failed} attempts failed, the last one: {failure})")?,
            }
        }
        Ok(())
    }
}

impl Intercept for CallsInFlight {
    fn name(&self) -> &'static str {
        "CallsInFlight"
    }

    /// The first hook that knows the operation.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.begin(operation(bag).to_owned());
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error() {
            self.attempt_failed(operation(bag), innermost(error));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.end(operation(bag));
        Ok(())
    }
}

fn operation(bag: &ConfigBag) -> &str {
    bag.load::<Metadata>().map_or("a call", Metadata::name)
}
