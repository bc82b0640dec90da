//! What a ledger has still to do when it has answered: nothing that was promised rests on it.
//!
//! A *leg* is on disk with the purge that it belongs to, in one transaction. It is tried until it is done, or given up
//! when it fails [`GIVEN_UP_MS`] after it began; each of its steps can be done twice without harm, so a restart between any two of them loses
//! nothing.
//!
//! - *zone*: tell the global ledger which tags are to be purged from the zone's caches. It collects those of all
//!   tenants, since the limit on calls is the account's: it is handed over when that one has it on its own disk.
//! - *tag*: at the global ledger, one tag to be purged; at most [`TAGS_AT_MOST`] of them in one call.
//! - *erase*: delete the values in Workers KV, twice: what was being written meanwhile has landed by the second time.
//! - *list*: tell the global ledger whether the tenant is listed, as it is then: one that is late tells no old news.

use crate::time::UnixMillis;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Value, json};

/// How long a leg is tried, in milliseconds.
pub const GIVEN_UP_MS: u64 = 60 * 60 * 1000;
/// For so long tags are collected before they are purged in one call, in milliseconds.
pub const COLLECTED_MS: u64 = 1_000;
/// How many tags Cloudflare takes in one call.
pub const TAGS_AT_MOST: usize = 100;
/// Between the two times that values are deleted, in milliseconds: longer than KV takes to show a write everywhere, and
/// than a fill takes.
pub const ERASED_AGAIN_MS: u64 = 90_000;
/// The first pause after a failure, in milliseconds. Each further one is twice as long, up to [`LONGEST_PAUSE_MS`].
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 5 * 60 * 1000;

/// What kind of thing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Hand tags over to the global ledger.
    Zone,
    /// Purge a tag from the zone.
    Tag,
    /// Delete values.
    Erase,
    /// Tell the global ledger whether the tenant is listed.
    List,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It will be tried, or tried again.
    Waiting,
    /// The global ledger has it.
    HandedOver,
    /// It is done.
    Done,
    /// It was tried for too long.
    GivenUp,
}

/// The words of kinds and states, on disk and in receipts.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
words!(Kind { Zone => "zone", Tag => "tag", Erase => "erase", List => "list" });
words!(State { Waiting => "waiting", HandedOver => "handed-over", Done => "done", GivenUp => "given-up" });

/// Something that is still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Its number on this disk; 0 until it is there.
    pub id: u64,
    /// Of which receipt; at the global ledger, of whose.
    pub receipt: String,
    /// What kind.
    pub kind: Kind,
    /// What exactly.
    pub what: String,
    /// Since when.
    pub since: UnixMillis,
    /// When it is tried next.
    pub due: UnixMillis,
    /// How often it was tried.
    pub attempts: u32,
    /// How far it is.
    pub state: State,
}

impl Leg {
    /// One that is new.
    #[must_use]
    pub fn new(receipt: &str, kind: Kind, what: String, now: UnixMillis, wait: u64) -> Self {
        let due = UnixMillis(now.0.saturating_add(wait));
        Self { id: 0, receipt: receipt.into(), kind, what, since: now, due, attempts: 0, state: State::Waiting }
    }

    /// After a step that took it there.
    #[must_use]
    pub fn reached(self, state: State) -> Self {
        Self { state, attempts: self.attempts.saturating_add(1), ..self }
    }

    /// After a step that failed. `pause` is how long the other side asked to be left alone, in milliseconds, and is
    /// waited for up to [`GIVEN_UP_MS`]; `random` is any number: pauses are shortened by up to a half, so that many do
    /// not come back at once.
    #[must_use]
    pub fn failed(self, now: UnixMillis, pause: Option<u64>, random: u64) -> Self {
        let longest = FIRST_PAUSE_MS.saturating_mul(1 << self.attempts.min(20)).min(LONGEST_PAUSE_MS);
        let wait = pause.unwrap_or(0).min(GIVEN_UP_MS).max(longest - random % (longest / 2));
        let due = UnixMillis(now.0.saturating_add(wait));
        let over = now.0 >= self.since.0.saturating_add(GIVEN_UP_MS);
        let state = if over { State::GivenUp } else { State::Waiting };
        Self { due, ..self.reached(state) }
    }
}

/// The tags of one call: of the legs that are due, in their order, each once.
#[must_use]
pub fn batch(legs: &[Leg]) -> Vec<&str> {
    let mut tags: Vec<&str> = Vec::new();
    for leg in legs {
        if tags.len() < TAGS_AT_MOST && !tags.contains(&leg.what.as_str()) {
            tags.push(&leg.what);
        }
    }
    tags
}

/// A receipt together with what is still to do for it.
#[must_use]
pub fn with_legs(receipt: &str, legs: &[Leg]) -> Option<String> {
    let mut receipt: Value = serde_json::from_str(receipt).ok()?;
    let legs: Value = legs
        .iter()
        .map(|leg| json!({ "leg": leg.kind.as_str(), "state": leg.state.as_str(), "attempts": leg.attempts }))
        .collect();
    _ = receipt.as_object_mut()?.insert("legs".into(), legs);
    Some(format!("{receipt}"))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Leg, State, batch, with_legs};
    use crate::time::UnixMillis;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    fn leg() -> Leg {
        Leg::new("r", Kind::Tag, "t".into(), UnixMillis(1_000), 0)
    }

    #[test]
    fn pauses_double_with_some_chance_until_it_is_given_up() {
        for random in [0, 1, 499, 500, 12_345, u64::MAX] {
            let (mut leg, mut tried) = (leg(), 1_000);
            let mut pauses = Vec::new();
            while leg.state == State::Waiting {
                tried = leg.due.0;
                leg = leg.failed(UnixMillis(tried), None, random);
                pauses.push(leg.due.0 - tried);
            }
            for (index, pause) in pauses.iter().enumerate() {
                let longest = (1_000 << index.min(20)).min(300_000);
                assert!((longest / 2..=longest).contains(pause), "{index}: {pause}");
            }
            assert_eq!(leg.state, State::GivenUp);
            assert!((3_601_000..=3_901_000).contains(&tried), "{tried}");
            assert_eq!(usize::try_from(leg.attempts), Ok(pauses.len()));
        }
    }

    #[test]
    fn who_asks_to_be_left_alone_is() {
        let later = leg().failed(UnixMillis(1_000), Some(60_000), 7);
        assert_eq!((later.due, later.state), (UnixMillis(61_000), State::Waiting));
        for longest in [3_600_000, u64::MAX] {
            let last = leg().failed(UnixMillis(1_000), Some(longest), 7);
            assert_eq!((last.due, last.state), (UnixMillis(3_601_000), State::Waiting));
            assert_eq!(last.failed(UnixMillis(3_601_000), None, 7).state, State::GivenUp);
        }
    }

    #[test]
    fn a_call_has_a_hundred_different_tags_at_most() {
        let leg = |number: usize| Leg { what: (number % 150).to_string(), ..leg() };
        let legs: Vec<Leg> = (0..300).map(leg).collect();
        let tags = batch(&legs);
        assert_eq!((tags.len(), tags.first(), tags.last()), (100, Some(&"0"), Some(&"99")));
        assert_eq!(batch(&legs[..3]), ["0", "1", "2"]);
        assert_eq!(batch(&[leg(1), leg(1)]), ["1"]);
    }

    #[test]
    fn a_receipt_says_what_is_still_to_do() {
        let text = with_legs(r#"{"id":"1"}"#, &[leg().reached(State::Done)]).unwrap_or_default();
        assert_eq!(text, r#"{"id":"1","legs":[{"attempts":1,"leg":"tag","state":"done"}]}"#);
        assert_eq!(with_legs("[]", &[]), None);
    }
}
