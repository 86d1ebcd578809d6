//! Calls of instances, counted by who made them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use clap::ValueEnum;
use serde::Serialize;
use time::OffsetDateTime;

use super::duplicates::{RecentEvents, hash};
use crate::sources::cloudtrail::{Call, Delivery};

/// What callers are grouped by, instead of account, role, instance and user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// Account and role
    Role,
    /// User agent, over all accounts
    Agent,
    /// Account, role and instance
    Instance,
}

/// Who made calls. What is unknown, or not grouped by, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallerKey<'a> {
    pub(crate) account_id: Option<Cow<'a, str>>,
    pub(crate) role_arn: Option<Cow<'a, str>>,
    pub(crate) instance_id: Option<Cow<'a, str>>,
    pub(crate) user_agent: Option<Cow<'a, str>>,
}

/// The calls of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallerCalls {
    pub(crate) calls: u64,
    pub(crate) first_seen: Option<OffsetDateTime>,
    pub(crate) last_seen: Option<OffsetDateTime>,
    /// The names of the services that were called.
    pub(crate) services: BTreeSet<Box<str>>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallersSummary {
    pub(crate) records: u64,
    pub(crate) imdsv1_calls: u64,
    pub(crate) imdsv2_calls: u64,
    /// The number of instances that made calls with credentials from IMDSv1.
    pub(crate) instances: usize,
    /// The number of calls that were recorded before, and are not counted again.
    pub(crate) duplicates: u64,
}

/// Counts calls with credentials that came by IMDSv1. Memory grows with the number of callers.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    group_by: Option<GroupBy>,
    /// The place of each caller in `calls`.
    places: HashMap<CallerKey<'static>, usize>,
    calls: Vec<CallerCalls>,
    /// A hash of each instance.
    instances: HashSet<u64>,
    summary: CallersSummary,
}

impl Callers {
    pub(crate) fn new(group_by: Option<GroupBy>) -> Self {
        Self { group_by, ..Self::default() }
    }

    /// Counts a record, and the call that it contains, if any.
    pub(crate) fn count(&mut self, call: Option<Call<'_>>, recent: &RecentEvents) {
        self.summary.records += 1;
        let Some(call) = call else { return };
        if call.event_id.as_deref().is_some_and(|id| recent.is_duplicate(id)) {
            self.summary.duplicates += 1;
            return;
        }
        match call.delivery {
            Delivery::Imdsv2 => self.summary.imdsv2_calls += 1,
            Delivery::Imdsv1 => {
                self.summary.imdsv1_calls += 1;
                self.add_call(call);
            }
        }
    }

    fn add_call(&mut self, call: Call<'_>) {
        if let Some(instance_id) = &call.instance_id {
            self.instances.insert(hash((&call.account_id, instance_id)));
        }
        let Call { account_id, role_arn, instance_id, user_agent, time, service, .. } = call;
        let key = CallerKey { account_id, role_arn, instance_id, user_agent }.grouped(self.group_by);
        self.update(key, |calls| {
            calls.calls += 1;
            calls.see(time, time);
            if let Some(service) = service
                && !calls.services.contains(&*service)
            {
                calls.services.insert(service.into());
            }
        });
    }

    /// Adds what another one counted.
    pub(crate) fn merge(&mut self, other: Self) {
        let CallersSummary { records, imdsv1_calls, imdsv2_calls, duplicates, .. } = other.summary;
        self.summary.records += records;
        self.summary.imdsv1_calls += imdsv1_calls;
        self.summary.imdsv2_calls += imdsv2_calls;
        self.summary.duplicates += duplicates;
        self.instances.extend(other.instances);
        let mut others = other.calls;
        for (key, place) in other.places {
            let Some(theirs) = others.get_mut(place).map(std::mem::take) else { continue };
            self.update(key, |calls| {
                calls.calls += theirs.calls;
                calls.see(theirs.first_seen, theirs.last_seen);
                calls.services.extend(theirs.services);
            });
        }
    }

    /// Returns the callers, and what was read.
    pub(crate) fn into_parts(mut self) -> (Vec<(CallerKey<'static>, CallerCalls)>, CallersSummary) {
        let summary = CallersSummary { instances: self.instances.len(), ..self.summary };
        let take = |(key, place): (_, usize)| Some((key, std::mem::take(self.calls.get_mut(place)?)));
        (self.places.into_iter().filter_map(take).collect(), summary)
    }

    /// Updates the calls of a caller. The key is copied only if the caller is new.
    fn update(&mut self, key: CallerKey<'_>, update: impl FnOnce(&mut CallerCalls)) {
        let places: &HashMap<CallerKey<'_>, usize> = &self.places; // covariant: looks up a borrowed key
        let place = places.get(&key).copied().unwrap_or_else(|| {
            self.places.insert(key.into_owned(), self.calls.len());
            self.calls.push(CallerCalls::default());
            self.calls.len() - 1
        });
        if let Some(calls) = self.calls.get_mut(place) {
            update(calls);
        }
    }
}

impl CallerCalls {
    fn see(&mut self, first: Option<OffsetDateTime>, last: Option<OffsetDateTime>) {
        self.first_seen = self.first_seen.into_iter().chain(first).min();
        self.last_seen = self.last_seen.max(last);
    }
}

impl CallerKey<'_> {
    /// Returns the key without what is not grouped by.
    fn grouped(self, by: Option<GroupBy>) -> Self {
        match by {
            None => self,
            Some(GroupBy::Role) => Self { instance_id: None, user_agent: None, ..self },
            Some(GroupBy::Agent) => Self { user_agent: self.user_agent, ..Self::default() },
            Some(GroupBy::Instance) => Self { user_agent: None, ..self },
        }
    }

    fn into_owned(self) -> CallerKey<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        CallerKey {
            account_id: own(self.account_id),
            role_arn: own(self.role_arn),
            instance_id: own(self.instance_id),
            user_agent: own(self.user_agent),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn call(
        role: &'static str,
        instance: &'static str,
        agent: &'static str,
        event: &'static str,
    ) -> Call<'static> {
        Call {
            delivery: Delivery::Imdsv1,
            account_id: Some("1".into()),
            role_arn: Some(role.into()),
            instance_id: Some(instance.into()),
            user_agent: Some(agent.into()),
            time: Some(datetime!(2026-11-20 10:00 UTC)),
            service: Some("s3".into()),
            event_id: Some(event.into()),
        }
    }

    fn counted(group_by: Option<GroupBy>, calls: Vec<Call<'static>>) -> Callers {
        let recent = RecentEvents::default();
        let mut callers = Callers::new(group_by);
        for call in calls {
            callers.count(Some(call), &recent);
        }
        callers
    }

    #[test]
    fn callers_are_grouped() {
        let calls = [("web", "i-1", "a"), ("web", "i-2", "a"), ("web", "i-1", "b"), ("batch", "i-3", "a")];
        let calls = || {
            let ids = ["1", "2", "3", "4"];
            calls
                .iter()
                .zip(ids)
                .map(|((role, instance, agent), id)| call(role, instance, agent, id))
                .collect()
        };
        for (group_by, groups) in
            [(None, 4), (Some(GroupBy::Role), 2), (Some(GroupBy::Agent), 2), (Some(GroupBy::Instance), 3)]
        {
            let (callers, summary) = counted(group_by, calls()).into_parts();
            assert_eq!(callers.len(), groups, "{group_by:?}");
            assert_eq!(callers.iter().map(|(_, calls)| calls.calls).sum::<u64>(), 4);
            assert_eq!((summary.records, summary.imdsv1_calls, summary.instances), (4, 4, 3));
        }
    }

    #[test]
    fn a_call_counts_once_and_calls_without_an_id_each_time() {
        let without_id = Call { event_id: None, ..call("web", "i-1", "a", "") };
        let imdsv2 = Call { delivery: Delivery::Imdsv2, ..call("web", "i-1", "a", "2") };
        let once = call("web", "i-1", "a", "1");
        let calls = vec![once.clone(), once, imdsv2.clone(), imdsv2, without_id.clone(), without_id];
        let (callers, summary) = counted(None, calls).into_parts();
        assert_eq!(callers.first().map(|(_, calls)| calls.calls), Some(3));
        let expected =
            CallersSummary { records: 6, imdsv1_calls: 3, imdsv2_calls: 1, instances: 1, duplicates: 2 };
        assert_eq!(summary, expected);
    }

    #[test]
    fn merging_is_counting_together() {
        let first = Call { time: Some(datetime!(2026-11-20 09:00 UTC)), ..call("web", "i-1", "a", "1") };
        let second = Call { time: None, service: Some("ec2".into()), ..call("web", "i-1", "a", "2") };
        let third = Call { time: Some(datetime!(2026-11-20 11:00 UTC)), ..call("web", "i-2", "a", "3") };
        let fourth = call("web", "i-1", "a", "4");
        let all = vec![first, second, third, fourth];
        let sorted = |callers: Callers| {
            let (mut callers, summary) = callers.into_parts();
            callers.sort_by(|(a, _), (b, _)| a.cmp(b));
            (callers, summary)
        };
        let together = sorted(counted(None, all.clone()));
        for middle in 0..=all.len() {
            let mut merged = counted(None, all[..middle].to_vec());
            merged.merge(counted(None, all[middle..].to_vec()));
            assert_eq!(sorted(merged), together, "{middle}");
        }
        let (_, calls) = &together.0[0];
        assert_eq!(calls.first_seen, Some(datetime!(2026-11-20 09:00 UTC)));
        assert_eq!(calls.last_seen, Some(datetime!(2026-11-20 10:00 UTC)));
        assert_eq!(calls.services.iter().map(|service| &**service).collect::<Vec<_>>(), ["ec2", "s3"]);
    }
}
