//! Classes: lifetimes that make sense together, and none where nothing is stored.

use super::super::parse::RawClass;
use super::super::table::{Bounds, Calendar, Class, Lifetimes, Limits, List, Policy, Seconds, Text, WithoutLedger};
use super::limits::{demand, limits};
use super::{Faults, judge_name};
use crate::names::field;
use alloc::vec::Vec;
use toml::Spanned;

/// A class, with what only the judging of its routes needs.
pub struct KnownClass {
    pub class: Class,
    pub ceiling: Option<Seconds>,
    pub response_fields: List<Text>,
    pub limits: Limits,
}

pub(super) fn classes(raw: &[RawClass], faults: &mut Faults) -> Vec<KnownClass> {
    let mut known: Vec<KnownClass> = Vec::new();
    for class in raw {
        let (name, at) = (class.name.get_ref(), class.name.span().start);
        let rule = format!("class `{name}`");
        judge_name(name, at, &rule, faults);
        if known.iter().any(|other| other.class.name == *name) {
            faults.add(at, &rule, "this name is taken by a class above");
        }
        let policy = match class.policy.as_ref().map_or("store", |policy| policy.get_ref().as_str()) {
            "live" => never_stored(class, Policy::Live, &rule, faults),
            "bypass" => never_stored(class, Policy::Bypass, &rule, faults),
            "store" => Policy::Store(lifetimes(class, &rule, faults)),
            "origin" => Policy::Origin(origins(class, &rule, faults)),
            other => {
                let at = class.policy.as_ref().map_or(at, |policy| policy.span().start);
                faults.add(
                    at,
                    &rule,
                    format!("policy `{other}` is not known: say `store`, `origin`, `live` or `bypass`"),
                );
                Policy::Bypass
            }
        };
        let demand = demand(class, matches!(policy, Policy::Store(_) | Policy::Origin(_)), &rule, faults);
        known.push(KnownClass {
            class: Class { name: Text::Owned(name.clone()), policy, demand },
            ceiling: class.ceiling.as_ref().map(|ceiling| *ceiling.get_ref()),
            response_fields: response_fields(class, &rule, faults),
            limits: limits(class, &rule, faults),
        });
    }
    known
}

/// The words of a class, each with its place if it is there.
fn words(class: &RawClass) -> impl Iterator<Item = (&'static str, usize)> {
    let numbers = [
        ("s_maxage", &class.s_maxage),
        ("max_age", &class.max_age),
        ("stale_while_revalidate", &class.stale_while_revalidate),
        ("stale_if_error", &class.stale_if_error),
        ("soft_window", &class.soft_window),
        ("ceiling", &class.ceiling),
        ("snapshot_isolate", &class.snapshot_isolate),
        ("snapshot_bound", &class.snapshot_bound),
        ("snapshot_behind", &class.snapshot_behind),
        ("between_bytes_timeout", &class.between_bytes_timeout),
        ("total_timeout", &class.total_timeout),
        ("largest_body", &class.largest_body),
        ("memory_percent", &class.memory_percent),
    ];
    let words = [("calendar", &class.calendar), ("without_ledger", &class.without_ledger)];
    let numbers = numbers.map(|(word, value)| (word, value.as_ref().map(Spanned::span)));
    let words = words.map(|(word, value)| (word, value.as_ref().map(Spanned::span)));
    let fields = [
        ("response_fields", class.response_fields.as_ref().map(Spanned::span)),
        ("lease", class.lease.as_ref().map(Spanned::span)),
    ];
    numbers.into_iter().chain(words).chain(fields).filter_map(|(word, span)| Some((word, span?.start)))
}

/// A class that is never stored has no lifetime and no stale window.
fn never_stored(class: &RawClass, policy: Policy, rule: &str, faults: &mut Faults) -> Policy {
    for (word, at) in words(class) {
        faults.add(
            at,
            rule,
            format!("`{word}` on a class that is never stored: leave it out, or say policy = \"store\""),
        );
    }
    policy
}

/// A class whose origin decides has bounds, and says nothing about what the origin says.
fn origins(class: &RawClass, rule: &str, faults: &mut Faults) -> Lifetimes {
    let says = ["s_maxage", "max_age", "stale_while_revalidate", "calendar", "response_fields"];
    for (word, at) in words(class).filter(|(word, _)| says.contains(word)) {
        faults.add(
            at,
            rule,
            format!("`{word}` on a class whose origin decides: leave it out; `ceiling` bounds a lifetime"),
        );
    }
    Lifetimes {
        s_maxage: class.ceiling.as_ref().map_or(Seconds::MAX, |ceiling| *ceiling.get_ref()),
        max_age: 0,
        stale_while_revalidate: 0,
        stale_if_error: class.stale_if_error.as_ref().map_or(0, |seconds| *seconds.get_ref()),
        soft_window: class.soft_window.as_ref().map_or(0, |seconds| *seconds.get_ref()),
        calendar: Calendar::None,
        without_ledger: without_ledger(class, rule, faults),
        snapshot: bounds(class, rule, faults),
    }
}

fn without_ledger(class: &RawClass, rule: &str, faults: &mut Faults) -> WithoutLedger {
    match class.without_ledger.as_ref().map(|word| (word.get_ref().as_str(), word.span().start)) {
        None | Some(("forward", _)) => WithoutLedger::Forward,
        Some(("serve", _)) => WithoutLedger::Serve,
        Some((other, at)) => {
            faults.add(at, rule, format!("without_ledger `{other}` is not known: say `forward` or `serve`"));
            WithoutLedger::Forward
        }
    }
}

/// The origin's header fields that its answers keep: those of every class, and the given ones.
fn response_fields(class: &RawClass, rule: &str, faults: &mut Faults) -> List<Text> {
    let mut fields: Vec<Text> = field::STORED.iter().map(|name| Text::Borrowed(*name)).collect();
    let Some(given) = &class.response_fields else { return List::Owned(fields) };
    let token = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.bytes().all(plain)
    };
    for name in given.get_ref() {
        let (text, at) = (name.get_ref().as_str(), name.span().start);
        if !token(text) {
            faults.add(at, rule, format!("response field `{text}` is not a name in lower case"));
        } else if field::NEVER_STORED.contains(&text)
            || field::HOP_BY_HOP.contains(&text)
            || field::NEVER_STORED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        {
            let sentence = "is about one answer, one client or the whole host: it is never kept";
            faults.add(at, rule, format!("response field `{text}` {sentence}"));
        } else if fields.iter().any(|other| other == text) {
            faults.add(at, rule, format!("response field `{text}` is kept already"));
        } else {
            fields.push(Text::Owned(text.into()));
        }
    }
    List::Owned(fields)
}

fn lifetimes(class: &RawClass, rule: &str, faults: &mut Faults) -> Lifetimes {
    let at = class.name.span().start;
    let seconds = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| *value.get_ref());
    let s_maxage = seconds(&class.s_maxage).unwrap_or_else(|| {
        faults.add(at, rule, "a stored class needs `s_maxage`, its freshness lifetime at the edge in seconds");
        0
    });
    let max_age = seconds(&class.max_age).unwrap_or(0);
    if max_age > s_maxage {
        faults.add(
            at,
            rule,
            format!("max_age = {max_age} is over s_maxage = {s_maxage}: the browser would outlive the edge"),
        );
    }
    let calendar = match class.calendar.as_ref().map(|word| (word.get_ref().as_str(), word.span().start)) {
        None => Calendar::None,
        Some(("day", _)) => Calendar::Day,
        Some((other, at)) => {
            faults.add(
                at,
                rule,
                format!("calendar `{other}` is not known: say `day`, which includes the first of each month"),
            );
            Calendar::None
        }
    };
    let lifetimes = Lifetimes {
        s_maxage,
        max_age,
        stale_while_revalidate: seconds(&class.stale_while_revalidate).unwrap_or(0),
        stale_if_error: seconds(&class.stale_if_error).unwrap_or(0),
        soft_window: seconds(&class.soft_window).unwrap_or(0),
        calendar,
        without_ledger: without_ledger(class, rule, faults),
        snapshot: bounds(class, rule, faults),
    };
    over_ceiling(&lifetimes, seconds(&class.ceiling), at, rule, faults);
    lifetimes
}

/// How old counters may be: what a receipt promises follows from it.
fn bounds(class: &RawClass, rule: &str, faults: &mut Faults) -> Bounds {
    let at = class.name.span().start;
    let mut needed = |value: &Option<Spanned<u32>>, word: &str, without: Seconds| {
        let missing = || {
            faults.add(at, rule, format!("a stored class needs `{word}`, in seconds: purges are promised by it"));
            without
        };
        value.as_ref().map_or_else(missing, |value| *value.get_ref())
    };
    let isolate = needed(&class.snapshot_isolate, "snapshot_isolate", 0);
    let bound = needed(&class.snapshot_bound, "snapshot_bound", Seconds::MAX);
    let behind = class.snapshot_behind.as_ref().map(|value| *value.get_ref());
    if bound == 0 {
        faults.add(at, rule, "snapshot_bound = 0 would ask the ledger for every request: say 1 or more");
    }
    if isolate > bound {
        faults.add(at, rule, format!("snapshot_isolate = {isolate} is over snapshot_bound = {bound}"));
    }
    if let Some(behind) = behind.filter(|behind| *behind >= bound) {
        faults.add(
            at,
            rule,
            format!("snapshot_behind = {behind} is not under snapshot_bound = {bound}: it would never come to that"),
        );
    }
    Bounds { isolate, bound, behind }
}

/// The ceiling bounds the age that a figure may reach while the origin is well.
pub(super) fn over_ceiling(
    lifetimes: &Lifetimes,
    ceiling: Option<Seconds>,
    at: usize,
    rule: &str,
    faults: &mut Faults,
) {
    let reach = lifetimes.s_maxage.saturating_add(lifetimes.stale_while_revalidate);
    if let Some(ceiling) = ceiling.filter(|ceiling| reach > *ceiling) {
        faults.add(
            at,
            rule,
            format!(
                "s_maxage = {} and stale_while_revalidate = {} together are over the class's ceiling of {ceiling} s",
                lifetimes.s_maxage, lifetimes.stale_while_revalidate
            ),
        );
    }
}
