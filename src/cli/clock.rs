//! The clock of the command line.

use std::time::Duration;

use time::OffsetDateTime;

/// Tells the time, and waits. Tests use a clock that does not wait.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    /// The clock of the system.
    #[default]
    System,
    /// A clock that every wait advances.
    #[cfg(test)]
    Virtual(std::sync::Arc<std::sync::Mutex<OffsetDateTime>>),
}

impl Clock {
    /// Returns the current time in UTC.
    pub(crate) fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            #[cfg(test)]
            Self::Virtual(now) => *now.lock().expect("no thread panics with the clock"),
        }
    }

    /// Waits for a duration.
    pub(crate) async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            #[cfg(test)]
            Self::Virtual(now) => {
                *now.lock().expect("no thread panics with the clock") += duration;
                tokio::task::yield_now().await;
            }
        }
    }
}
