//! What CloudWatch's data proves about an instance's use of IMDSv1.
//!
//! The metrics `MetadataNoToken` and `MetadataNoTokenRejected` count IMDSv1 calls that were answered and rejected
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html>). Missing data is
//! not zero: silence must be proven.

use time::{Duration, OffsetDateTime};

/// The period of a data point. CloudWatch keeps hourly sums for 455 days.
pub const PERIOD: Duration = Duration::HOUR;
/// The age up to which CloudWatch keeps hourly sums.
pub const RETENTION: Duration = Duration::days(455);

/// The look-back period, in whole hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookBack {
    /// The first hour.
    pub start: OffsetDateTime,
    /// The current time.
    pub end: OffsetDateTime,
    half_way: OffsetDateTime,
}

impl LookBack {
    /// Returns the look-back period of `days` days before `now`.
    #[must_use]
    pub fn new(now: OffsetDateTime, days: u16) -> Self {
        let start = hour_of(now.saturating_sub(Duration::days(days.into())));
        let half = Duration::hours(12).checked_mul(i32::from(days)).unwrap_or(Duration::MAX);
        Self { start, end: now, half_way: start.saturating_add(half) }
    }
}

/// The hours around a launch in which calls are boot-time calls: the hour of the launch and the next one, which
/// contain the first hour after the launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootWindow {
    /// The hour of the launch.
    pub start: OffsetDateTime,
}

impl BootWindow {
    /// Returns the window for an instance that was last started at `launched_at`.
    #[must_use]
    pub fn of_launch(launched_at: OffsetDateTime) -> Self {
        Self { start: hour_of(launched_at) }
    }

    /// Returns the end of the window.
    #[must_use]
    pub fn end(self) -> OffsetDateTime {
        self.start.saturating_add(PERIOD * 2)
    }

    fn contains(self, at: OffsetDateTime) -> bool {
        (self.start..self.end()).contains(&at)
    }
}

/// The number of calls in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPoint {
    /// The start of the hour.
    pub start: OffsetDateTime,
    /// The number of calls; 0 proves that there were none.
    pub calls: u64,
}

/// What the data of an instance proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The number of calls in the look-back period, boot-time calls included.
    pub calls: u64,
    /// The number of boot-time calls since the last start, however long ago it was.
    pub boot_calls: u64,
    /// The number of boot-time calls that are in the look-back period.
    boot_calls_in_look_back: u64,
    /// Whether the data reaches back half of the look-back period.
    pub reaches_half_way: bool,
    /// Whether there is data of the last start.
    pub launch_seen: bool,
    /// Whether the last start was in the second half of the look-back period.
    pub started_recently: bool,
}

/// Whether an instance uses IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageState {
    /// The instance made this number of calls in the look-back period.
    InUse(u64),
    /// The instance made this number of calls, but only when it was last started. They would fail at its next
    /// start.
    BootCalls(u64),
    /// The data does not prove that there were no calls.
    Unknown(UnknownReason),
    /// There were no calls.
    NotInUse,
}

/// Why it is unknown whether an instance uses IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownReason {
    /// It was last started in the second half of the look-back period.
    StartedRecently,
    /// CloudWatch has no data of the first half of the look-back period.
    NoData,
    /// CloudWatch did not return all of its data.
    IncompleteData,
}

impl UnknownReason {
    /// Returns the reason in two words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartedRecently => "started recently",
            Self::NoData => "no data",
            Self::IncompleteData => "incomplete data",
        }
    }
}

impl UsageState {
    /// Returns the number of IMDSv1 calls, if there were any.
    #[must_use]
    pub fn calls(self) -> Option<u64> {
        match self {
            Self::InUse(calls) | Self::BootCalls(calls) => Some(calls),
            Self::Unknown(_) | Self::NotInUse => None,
        }
    }
}

impl Evidence {
    /// Weighs data points of an instance that was last started at `launched_at`.
    #[must_use]
    pub fn of(
        points: impl IntoIterator<Item = DataPoint>,
        look_back: &LookBack,
        launched_at: Option<OffsetDateTime>,
    ) -> Self {
        let boot = launched_at.map(BootWindow::of_launch);
        let started_recently = launched_at.is_some_and(|at| hour_of(at) >= look_back.half_way);
        let mut evidence = Self { started_recently, ..Self::default() };
        for DataPoint { start, calls } in points {
            let is_boot = boot.is_some_and(|boot| boot.contains(start));
            if is_boot {
                evidence.boot_calls += calls;
                evidence.launch_seen = true;
            }
            if start >= look_back.start {
                evidence.calls += calls;
                evidence.boot_calls_in_look_back += if is_boot { calls } else { 0 };
                evidence.reaches_half_way |= start < look_back.half_way;
            }
        }
        evidence
    }

    /// Returns whether the instance uses IMDSv1. `may_call` is whether software on it can call IMDS as it is now: if
    /// not, it makes no calls, whatever is missing.
    #[must_use]
    pub fn state(&self, may_call: bool) -> UsageState {
        if self.calls > self.boot_calls_in_look_back {
            UsageState::InUse(self.calls)
        } else if self.boot_calls > 0 {
            UsageState::BootCalls(self.boot_calls)
        } else if may_call && !self.reaches_half_way {
            UsageState::Unknown(if self.started_recently {
                UnknownReason::StartedRecently
            } else {
                UnknownReason::NoData
            })
        } else {
            UsageState::NotInUse
        }
    }
}

/// Returns the start of the hour of `at`.
fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0)
        .and_then(|at| at.replace_second(0))
        .and_then(|at| at.replace_minute(0))
        .unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-06-15 10:20:30 UTC);
    const NO_DATA: UsageState = UsageState::Unknown(UnknownReason::NoData);

    fn at(hours_ago: i64, calls: u64) -> DataPoint {
        DataPoint { start: hour_of(NOW - Duration::hours(hours_ago)), calls }
    }

    fn state(points: &[DataPoint], days: u16, launched_hours_ago: i64) -> UsageState {
        let launched_at = NOW - Duration::hours(launched_hours_ago);
        Evidence::of(points.iter().copied(), &LookBack::new(NOW, days), Some(launched_at)).state(true)
    }

    #[test]
    fn look_back_starts_at_a_whole_hour() {
        let look_back = LookBack::new(NOW, 14);
        assert_eq!(look_back.start, datetime!(2026-06-01 10:00 UTC));
        assert_eq!(look_back.half_way, datetime!(2026-06-08 10:00 UTC));
    }

    #[test]
    fn a_data_point_proves_its_own_hour_only() {
        for (days, hours_ago, expected) in [
            (1, 0, NO_DATA),
            (2, 1, NO_DATA),
            (1, 12, NO_DATA),
            (1, 13, UsageState::NotInUse),
            (14, 168, NO_DATA),
            (14, 169, UsageState::NotInUse),
            (14, 400, NO_DATA), // before the look-back period
        ] {
            assert_eq!(state(&[at(hours_ago, 0)], days, 9_000), expected, "{days} days, {hours_ago} hours");
        }
    }

    #[test]
    fn calls_of_the_boot_window_are_boot_time_calls() {
        for (points, launched, expected) in [
            ([at(100, 3), at(200, 0)], 100, UsageState::BootCalls(3)),
            ([at(99, 3), at(200, 0)], 100, UsageState::BootCalls(3)),
            ([at(98, 3), at(200, 0)], 100, UsageState::InUse(3)),
            ([at(101, 3), at(200, 0)], 100, UsageState::InUse(3)),
            ([at(100, 3), at(50, 1)], 100, UsageState::InUse(4)),
            ([at(1_000, 3), at(200, 0)], 1_000, UsageState::BootCalls(3)),
            ([at(1_000, 3), at(200, 0)], 2_000, UsageState::NotInUse),
            ([at(1_000, 3), at(1, 2)], 1_000, UsageState::InUse(2)),
        ] {
            assert_eq!(state(&points, 14, launched), expected, "{points:?} {launched}");
        }
    }

    #[test]
    fn an_instance_that_was_started_recently_has_no_older_data() {
        for (launched_hours_ago, expected) in [
            (1, UnknownReason::StartedRecently),
            (168, UnknownReason::StartedRecently),
            (169, UnknownReason::NoData),
        ] {
            let found = state(&[at(0, 0)], 14, launched_hours_ago);
            assert_eq!(found, UsageState::Unknown(expected), "{launched_hours_ago}");
        }
        let reasons = [UnknownReason::StartedRecently, UnknownReason::NoData, UnknownReason::IncompleteData];
        assert_eq!(reasons.map(UnknownReason::as_str), ["started recently", "no data", "incomplete data"]);
    }

    #[test]
    fn only_known_calls_are_counted() {
        for (state, expected) in [
            (UsageState::InUse(3), Some(3)),
            (UsageState::BootCalls(2), Some(2)),
            (NO_DATA, None),
            (UsageState::NotInUse, None),
        ] {
            assert_eq!(state.calls(), expected, "{state:?}");
        }
    }

    #[test]
    fn an_instance_that_cannot_call_makes_no_calls() {
        let nothing = Evidence::of([], &LookBack::new(NOW, 14), None);
        assert_eq!(nothing.state(true), NO_DATA);
        assert_eq!(nothing.state(false), UsageState::NotInUse);
        let before = Evidence::of([at(30, 2)], &LookBack::new(NOW, 14), None);
        assert_eq!(before.state(false), UsageState::InUse(2));
    }
}
