//! Whatever a store, a ledger or another isolate hands back: it is read whole or not at all, and what was read is
//! written and read as the same.

use std::fmt::Debug;

use hotrod_edge::entry::{HEAD_GREATEST_LENGTH, Head};
use hotrod_edge::epoch::Counters;
use hotrod_edge::ledger::erase::Erasure;
use hotrod_edge::ledger::line::Line;
use hotrod_edge::ledger::order::{Order, decode_answer, encode_answer};
use hotrod_edge::rules::Lifetimes;
use hotrod_edge::snapshot::Snapshot;
use hotrod_edge::time::UnixMillis;

use crate::rules;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    same(Snapshot::decode(text), Snapshot::encode, Snapshot::decode);
    same(Counters::decode(text), Counters::encode, Counters::decode);
    same(Line::decode(text), Line::encode, Line::decode);
    same(Erasure::decode(text), Erasure::encode, Erasure::decode);
    same(Order::decode(text), Order::encode, Order::decode);
    same(decode_answer(text), encode_answer, decode_answer);
    if let Some(head) = Head::decode(text) {
        if let Some(encoded) = head.encode() {
            assert!(encoded.len() <= HEAD_GREATEST_LENGTH);
            assert_eq!(Head::decode(&encoded).as_ref(), Some(&head));
        }
        lifetimes().for_each(|rule| check_age(&head, rule));
    }
}

#[track_caller]
fn same<T: PartialEq + Debug>(read: Option<T>, write: impl Fn(&T) -> String, decode: impl Fn(&str) -> Option<T>) {
    if let Some(read) = read {
        let text = write(&read);
        assert_eq!(decode(&text).as_ref(), Some(&read), "{text}");
    }
}

fn lifetimes() -> impl Iterator<Item = &'static Lifetimes> {
    rules().classes.iter().filter_map(|class| class.policy.lifetimes())
}

/// An entry never becomes younger or fresher, and ends with its calendar, whatever its head says.
fn check_age(head: &Head, rule: &Lifetimes) {
    let times = [0, head.received_at.0, head.period_end.map_or(0, |end| end.0), 1_774_915_200_000, u64::MAX];
    for now in times {
        let (now, later) = (UnixMillis(now), UnixMillis(now.saturating_add(1_000)));
        assert!(head.current_age(now) <= head.current_age(later));
        assert!(head.ttl(rule, now) >= head.ttl(rule, later));
        assert!(head.ttl(rule, now) <= i64::from(rule.s_maxage));
        assert!(head.period_end.is_none_or(|end| now < end || head.ttl(rule, now) <= 0));
    }
}
