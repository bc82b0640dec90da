//! Leases: which location asks the origin, where several miss the same answer at once. In memory only: a ledger that
//! starts anew has given none, and at worst the origin is asked once more.

use crate::epoch::Epoch;
use crate::small::Map;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use serde_json::{Value, json};

/// So many are remembered. Beyond that they are given without being remembered.
const LEASES_AT_MOST: usize = 1024;
/// For so long an answer is handed on, in milliseconds.
const HANDED_ON_MS: u64 = 3_000;
/// The longest answer that is handed on, in bytes, with its head.
pub const ANSWER_AT_MOST: usize = 260 * 1024;
/// All answers that are there to be handed on, in bytes.
const ANSWERS_AT_MOST: usize = 1024 * 1024;

/// What a location says about the lease of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseCall {
    /// It wants to ask the origin, and needs so many milliseconds at most.
    Take {
        /// For how long.
        lasts: u64,
    },
    /// It waits for what the holder hands on, at most so many milliseconds.
    Wait {
        /// Whose lease.
        id: u64,
        /// For how long.
        millis: u64,
    },
    /// It holds the lease and has its answer; whether that may be handed on.
    End {
        /// Its lease.
        id: u64,
        /// Whether it may.
        is_stored: bool,
    },
    /// It held the lease, and this is for those who wait.
    HandOn {
        /// Its lease.
        id: u64,
        /// The answer, as text.
        answer: String,
    },
}

/// How it stands with a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// It is the caller's.
    Granted {
        /// By which it is known.
        id: u64,
    },
    /// It is another one's, or others wait for what the caller has.
    Held {
        /// By which it is known.
        id: u64,
        /// So many milliseconds it lasts yet.
        lasts: u64,
    },
    /// The holder has its answer, and here it is.
    HandedOn(String),
    /// It is nobody's any more.
    Over,
}

/// A lease that was given.
#[derive(Debug, Hash)]
struct Given {
    id: u64,
    /// Where the line stood.
    epoch: Epoch,
    until: UnixMillis,
    /// Whether somebody was told to wait.
    is_wanted: bool,
    answer: Option<String>,
}

/// The leases of a ledger, by name.
#[derive(Debug, Default, Hash)]
pub struct Leases {
    given: Map<String, Given>,
    last: u64,
}

impl Leases {
    /// Does what a location says about the lease of this name. `line` is where the ledger's line stands: whoever waits
    /// needs an answer that has seen all of it, so a lease from before is void.
    pub fn call(&mut self, name: &str, call: LeaseCall, line: Epoch, now: UnixMillis) -> Lease {
        self.given.retain(|_, given| now < given.until);
        match call {
            LeaseCall::Take { lasts } => self.take(name, lasts, line, now),
            LeaseCall::Wait { id, .. } => self.look(name, id, now),
            LeaseCall::End { id, is_stored } => match self.look(name, id, now) {
                Lease::Held { id, lasts } if is_stored && self.is_wanted(name) => Lease::Held { id, lasts },
                Lease::Held { .. } => {
                    _ = self.given.remove(name);
                    Lease::Over
                }
                over => over,
            },
            LeaseCall::HandOn { id, answer } => {
                self.hand_on(name, id, answer, now);
                Lease::Over
            }
        }
    }

    fn take(&mut self, name: &str, lasts: u64, line: Epoch, now: UnixMillis) -> Lease {
        if let Some(mut given) = self.given.remove(name).filter(|given| given.epoch >= line) {
            given.is_wanted = true;
            let lease = given.show(now);
            self.given.insert(name.to_string(), given);
            return lease;
        }
        // Greater than any that this ledger gave before it was started anew.
        self.last = self.last.saturating_add(1).max(now.0);
        let (id, until) = (self.last, UnixMillis(now.0.saturating_add(lasts)));
        if self.given.len() < LEASES_AT_MOST {
            let given = Given { id, epoch: line, until, is_wanted: false, answer: None };
            self.given.insert(name.to_string(), given);
        }
        Lease::Granted { id }
    }

    fn look(&self, name: &str, id: u64, now: UnixMillis) -> Lease {
        self.given.get(name).filter(|given| given.id == id).map_or(Lease::Over, |given| given.show(now))
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|given| given.is_wanted)
    }

    fn hand_on(&mut self, name: &str, id: u64, answer: String, now: UnixMillis) {
        let Some(mut given) = self.given.remove(name) else { return };
        if given.id != id {
            self.given.insert(name.to_string(), given);
            return;
        }
        let held = self.given.iter().filter_map(|(_, other)| other.answer.as_ref()).map(String::len);
        let in_all = held.fold(answer.len(), usize::saturating_add);
        if answer.len() <= ANSWER_AT_MOST && in_all <= ANSWERS_AT_MOST {
            given.until = UnixMillis(now.0.saturating_add(HANDED_ON_MS));
            given.answer = Some(answer);
            self.given.insert(name.to_string(), given);
        }
    }
}

impl Given {
    fn show(&self, now: UnixMillis) -> Lease {
        match &self.answer {
            Some(answer) => Lease::HandedOn(answer.clone()),
            None => Lease::Held { id: self.id, lasts: self.until.0.saturating_sub(now.0) },
        }
    }
}

/// As a location sends it.
#[must_use]
pub fn encode_call(name: &str, call: &LeaseCall) -> String {
    match call {
        LeaseCall::Take { lasts } => json!({ "name": name, "take": lasts }),
        LeaseCall::Wait { id, millis } => json!({ "name": name, "id": id, "wait": millis }),
        LeaseCall::End { id, is_stored } => json!({ "name": name, "id": id, "end": is_stored }),
        LeaseCall::HandOn { id, answer } => json!({ "name": name, "id": id, "answer": answer }),
    }
    .to_string()
}

/// Reads what [`encode_call`] wrote: the name and the call. Anything else is nothing.
#[must_use]
pub fn decode_call(text: &str) -> Option<(String, LeaseCall)> {
    let read: Value = serde_json::from_str(text).ok()?;
    let number = |name: &str| read.get(name).and_then(Value::as_u64);
    let name = read.get("name")?.as_str()?.to_string();
    if let Some(lasts) = number("take") {
        return Some((name, LeaseCall::Take { lasts }));
    }
    let id = number("id")?;
    let call = match (number("wait"), read.get("end").and_then(Value::as_bool)) {
        (Some(millis), _) => LeaseCall::Wait { id, millis },
        (None, Some(is_stored)) => LeaseCall::End { id, is_stored },
        (None, None) => LeaseCall::HandOn { id, answer: read.get("answer")?.as_str()?.to_string() },
    };
    Some((name, call))
}

/// As a ledger answers, with its counters.
#[must_use]
pub fn encode_lease(lease: &Lease, counters: &str) -> String {
    match lease {
        Lease::Granted { id } => json!({ "counters": counters, "id": id }),
        Lease::Held { id, lasts } => json!({ "counters": counters, "id": id, "lasts": lasts }),
        Lease::HandedOn(answer) => json!({ "counters": counters, "answer": answer }),
        Lease::Over => json!({ "counters": counters }),
    }
    .to_string()
}

/// Reads what [`encode_lease`] wrote: how it stands, and the counters. Anything else is nothing.
#[must_use]
pub fn decode_lease(text: &str) -> Option<(Lease, String)> {
    let read: Value = serde_json::from_str(text).ok()?;
    let number = |name: &str| read.get(name).and_then(Value::as_u64);
    let answer = read.get("answer").and_then(Value::as_str);
    let lease = match (number("id"), number("lasts"), answer) {
        (Some(id), Some(lasts), _) => Lease::Held { id, lasts },
        (Some(id), None, _) => Lease::Granted { id },
        (None, _, Some(answer)) => Lease::HandedOn(answer.to_string()),
        (None, _, None) => Lease::Over,
    };
    Some((lease, read.get("counters")?.as_str()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{
        ANSWER_AT_MOST, ANSWERS_AT_MOST, HANDED_ON_MS, LEASES_AT_MOST, Lease, LeaseCall, Leases, decode_call,
        decode_lease, encode_call, encode_lease,
    };
    use crate::epoch::Epoch;
    use crate::time::UnixMillis;
    use alloc::string::String;

    const TAKE: LeaseCall = LeaseCall::Take { lasts: 1_000 };
    const LINE: Epoch = Epoch(7);

    fn granted(leases: &mut Leases, name: &str, now: u64) -> u64 {
        match leases.call(name, TAKE, LINE, UnixMillis(now)) {
            Lease::Granted { id } => id,
            other => panic!("{name} is not granted: {other:?}"),
        }
    }

    #[test]
    fn one_holds_a_lease_until_it_ends_or_runs_out() {
        let mut leases = Leases::default();
        let id = granted(&mut leases, "a", 10);
        let _other = granted(&mut leases, "b", 10);
        assert_eq!(leases.call("a", TAKE, LINE, UnixMillis(510)), Lease::Held { id, lasts: 500 });
        assert_eq!(leases.call("a", TAKE, LINE, UnixMillis(1_009)), Lease::Held { id, lasts: 1 });
        let next = granted(&mut leases, "a", 1_010);
        assert!(next > id);
        // Whoever held it before ends nothing of the next one's.
        let late = LeaseCall::End { id, is_stored: false };
        assert_eq!(leases.call("a", late, LINE, UnixMillis(1_011)), Lease::Over);
        assert_eq!(leases.call("a", TAKE, LINE, UnixMillis(1_011)), Lease::Held { id: next, lasts: 999 });
        let end = LeaseCall::End { id: next, is_stored: false };
        assert_eq!(leases.call("a", end, LINE, UnixMillis(1_012)), Lease::Over);
        assert_eq!(leases.call("a", LeaseCall::Wait { id: next, millis: 9 }, LINE, UnixMillis(1_012)), Lease::Over);
        granted(&mut leases, "a", 1_012);
    }

    #[test]
    fn an_answer_is_handed_on_only_to_those_who_were_told_to_wait() {
        let mut leases = Leases::default();
        let alone = granted(&mut leases, "a", 10);
        assert_eq!(leases.call("a", LeaseCall::End { id: alone, is_stored: true }, LINE, UnixMillis(20)), Lease::Over);
        let id = granted(&mut leases, "a", 30);
        leases.call("a", TAKE, LINE, UnixMillis(40));
        let held = Lease::Held { id, lasts: 980 };
        assert_eq!(leases.call("a", LeaseCall::End { id, is_stored: true }, LINE, UnixMillis(50)), held);
        assert_eq!(leases.call("a", LeaseCall::Wait { id, millis: 9 }, LINE, UnixMillis(50)), held);
        let answer = || String::from("an answer");
        leases.call("a", LeaseCall::HandOn { id: alone, answer: answer() }, LINE, UnixMillis(60));
        assert_eq!(
            leases.call("a", LeaseCall::Wait { id, millis: 9 }, LINE, UnixMillis(60)),
            Lease::Held { id, lasts: 970 }
        );
        leases.call("a", LeaseCall::HandOn { id, answer: answer() }, LINE, UnixMillis(60));
        for call in [TAKE, LeaseCall::Wait { id, millis: 9 }] {
            assert_eq!(leases.call("a", call, LINE, UnixMillis(59 + HANDED_ON_MS)), Lease::HandedOn(answer()));
        }
        granted(&mut leases, "a", 60 + HANDED_ON_MS);
    }

    #[test]
    fn a_line_that_moved_makes_a_lease_and_its_answer_void() {
        let mut leases = Leases::default();
        let id = granted(&mut leases, "a", 10);
        let moved = leases.call("a", TAKE, Epoch(8), UnixMillis(20));
        let Lease::Granted { id: next } = moved else { panic!("{moved:?}") };
        assert_eq!(leases.call("a", LeaseCall::End { id, is_stored: true }, Epoch(8), UnixMillis(30)), Lease::Over);
        leases.call("a", TAKE, Epoch(8), UnixMillis(30));
        leases.call("a", LeaseCall::HandOn { id: next, answer: "b".into() }, Epoch(8), UnixMillis(40));
        assert!(matches!(leases.call("a", TAKE, Epoch(9), UnixMillis(50)), Lease::Granted { .. }));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut leases = Leases::default();
        let longest = "x".repeat(ANSWER_AT_MOST);
        let kept = (0..10).filter(|number| {
            let name = format!("{number}");
            let id = granted(&mut leases, &name, 10);
            leases.call(&name, TAKE, LINE, UnixMillis(10));
            leases.call(&name, LeaseCall::HandOn { id, answer: longest.clone() }, LINE, UnixMillis(10));
            leases.call(&name, LeaseCall::Wait { id, millis: 9 }, LINE, UnixMillis(10)) != Lease::Over
        });
        assert_eq!(kept.count(), ANSWERS_AT_MOST / ANSWER_AT_MOST);
        let id = granted(&mut leases, "longer", 10 + HANDED_ON_MS);
        leases.call("longer", LeaseCall::HandOn { id, answer: longest + "x" }, LINE, UnixMillis(10 + HANDED_ON_MS));
        granted(&mut leases, "longer", 10 + HANDED_ON_MS);
        for number in 0..LEASES_AT_MOST + 9 {
            granted(&mut leases, &format!("of many {number}"), 20_000);
        }
        assert_eq!(leases.given.len(), LEASES_AT_MOST);
    }

    #[test]
    fn calls_and_answers_survive_the_wire() {
        let answer = || String::from("{\"a\":\"\u{1}\"}\n{}");
        let (wait, end) = (LeaseCall::Wait { id: 5, millis: 3_000 }, LeaseCall::End { id: 5, is_stored: true });
        for call in [TAKE, wait, end, LeaseCall::HandOn { id: 5, answer: answer() }] {
            assert_eq!(decode_call(&encode_call("t/k\n\"", &call)), Some(("t/k\n\"".into(), call)));
        }
        let held = Lease::Held { id: 5, lasts: 9 };
        for lease in [Lease::Granted { id: 5 }, held, Lease::HandedOn(answer()), Lease::Over] {
            assert_eq!(decode_lease(&encode_lease(&lease, "1\n2")), Some((lease, "1\n2".into())));
        }
        for text in ["", "5", "{}", r#"{"name":"a"}"#, r#"{"name":"a","id":1}"#, r#"{"take":1}"#] {
            assert_eq!((decode_call(text), decode_lease(text)), (None, None), "{text}");
        }
    }
}
