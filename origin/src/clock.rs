//! The one place that reads the time. It may start at a chosen moment and then runs on.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

/// A clock that can be started at any moment.
#[derive(Debug)]
pub(crate) struct Clock {
    ahead: TimeDelta,
    last_stamp: AtomicI64,
}

impl Clock {
    /// A clock that reads `start` now, or the system's time.
    pub(crate) fn starting(start: Option<DateTime<Utc>>) -> Self {
        let ahead = start.map_or(TimeDelta::zero(), |start| start - system_now());
        Self { ahead, last_stamp: AtomicI64::new(i64::MIN) }
    }

    /// The moment.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        system_now() + self.ahead
    }

    /// The day, in UTC.
    pub(crate) fn today(&self) -> NaiveDate {
        self.now().date_naive()
    }

    /// The moment as text, a millisecond later than the one before at the least: no two answers carry the same.
    pub(crate) fn stamp(&self) -> String {
        let now = self.now().timestamp_millis();
        let before = self
            .last_stamp
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last.saturating_add(1))))
            .unwrap_or(now);
        let stamp = now.max(before.saturating_add(1));
        DateTime::from_timestamp_millis(stamp).map_or_else(String::new, text)
    }
}

/// The system's time.
pub(crate) fn system_now() -> DateTime<Utc> {
    Utc::now()
}

/// A moment as the tables and answers write it: `2025-10-12T14:05:00.000Z`.
pub(crate) fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}
