//! A stored response: the head, by which reuse is judged, and the body, apart from it.
//!
//! The head is JSON with short names: it is the metadata of a KV value (at most 1,024 bytes) and one header of
//! a Cache API entry. An unknown version is a miss, so a new format may be written at any time.

use crate::epoch::Epoch;
use crate::names::field;
use crate::rules::{Lifetimes, Seconds};
use crate::time::UnixMillis;
use crate::validation::Validators;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use serde::Serialize;
use serde_json::Value;

/// The version of the format that this build writes and reads.
pub const FORMAT: u8 = 1;
/// The greatest length of a head's text: that of a KV value's metadata.
pub const HEAD_GREATEST_LENGTH: usize = 1024;
/// The same on a route that follows its origin, whose answers keep all their fields and do not live in KV.
pub const WHOLE_HEAD_GREATEST_LENGTH: usize = 16 * 1024;

/// Everything about a stored response but its body. Written by serde; read by hand in [`Head::decode`], for what
/// serde generates to read a struct, with its sentences about what was expected, is a tenth of the whole Worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// [`FORMAT`].
    #[serde(rename = "v")]
    pub format: u8,
    /// The status code.
    #[serde(rename = "s")]
    pub status: u16,
    /// When the origin was asked.
    #[serde(rename = "q")]
    pub requested_at: UnixMillis,
    /// When the answer's head was received.
    #[serde(rename = "r")]
    pub received_at: UnixMillis,
    /// Its age at that moment.
    #[serde(rename = "a")]
    pub initial_age: Seconds,
    /// Its freshness lifetime, cut at the calendar.
    #[serde(rename = "f")]
    pub lifetime: Seconds,
    /// The boundary of the calendar that ends its freshness.
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub period_end: Option<UnixMillis>,
    /// The ledger's position before the origin was asked.
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The entity tag as it is emitted; empty, if there is none.
    #[serde(rename = "t")]
    pub etag: String,
    /// SHA-256 of the body, in hexadecimal.
    #[serde(rename = "d")]
    pub digest: String,
    /// The body's length in bytes.
    #[serde(rename = "l")]
    pub length: usize,
    /// The origin's header fields that are kept.
    #[serde(rename = "h")]
    pub headers: Vec<(String, String)>,
    /// The marks of the tags that the origin gave it, separated by spaces.
    #[serde(rename = "m", skip_serializing_if = "String::is_empty")]
    pub marks: String,
    /// The freshness lifetime that the origin stated, if it did.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub stated: Option<Seconds>,
    /// By what the origin knows this representation again.
    #[serde(rename = "o", skip_serializing_if = "Validators::are_none")]
    pub validators: Validators,
    /// On a route that follows its origin: what else its header fields say.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
}

/// What an origin's header fields say, besides a lifetime, on a route that follows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// It may be used only while it is fresh (RFC 9111, section 4.2.4).
    #[serde(rename = "b")]
    pub forbids_stale: bool,
    /// After its lifetime, use while a validation runs (RFC 5861, section 3).
    #[serde(rename = "r")]
    pub while_revalidate: Seconds,
    /// After its lifetime, use when the origin fails (RFC 5861, section 4).
    #[serde(rename = "e")]
    pub if_error: Seconds,
    /// The names of the request's fields that selected it (RFC 9111, section 4.1).
    #[serde(rename = "y", skip_serializing_if = "String::is_empty")]
    pub nominated: String,
    /// What they amounted to.
    #[serde(rename = "k", skip_serializing_if = "String::is_empty")]
    pub variance: String,
}

impl Head {
    /// The text that tiers keep, if it fits. It is ASCII, as header fields are.
    #[must_use]
    pub fn encode(&self) -> Option<String> {
        let text = ascii(serde_json::to_string(self).ok()?);
        let at_most = if self.followed.is_some() { WHOLE_HEAD_GREATEST_LENGTH } else { HEAD_GREATEST_LENGTH };
        (text.len() <= at_most).then_some(text)
    }

    /// Reads what [`Head::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let read: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| read.get(name)?.as_u64();
        let seconds = |name: &str| Seconds::try_from(number(name)?).ok();
        let text = |name: &str| read.get(name)?.as_str().map(String::from);
        let mut headers = Vec::new();
        for field in read.get("h")?.as_array()? {
            headers.push((field.get(0)?.as_str()?.into(), field.get(1)?.as_str()?.into()));
        }
        let validator = |name: &str| read.get("o")?.get(name)?.as_str().map(String::from);
        let validators = Validators { etag: validator("t"), last_modified: validator("m") };
        let followed = match read.get("w") {
            None => None,
            Some(of) => Some(Followed {
                forbids_stale: of.get("b")?.as_bool()?,
                while_revalidate: Seconds::try_from(of.get("r")?.as_u64()?).ok()?,
                if_error: Seconds::try_from(of.get("e")?.as_u64()?).ok()?,
                nominated: of.get("y").and_then(Value::as_str).unwrap_or_default().into(),
                variance: of.get("k").and_then(Value::as_str).unwrap_or_default().into(),
            }),
        };
        let head = Self {
            format: u8::try_from(number("v")?).ok()?,
            status: u16::try_from(number("s")?).ok()?,
            requested_at: UnixMillis(number("q")?),
            received_at: UnixMillis(number("r")?),
            initial_age: seconds("a")?,
            lifetime: seconds("f")?,
            period_end: number("p").map(UnixMillis),
            epoch: Epoch(number("e")?),
            etag: text("t")?,
            digest: text("d")?,
            length: usize::try_from(number("l")?).ok()?,
            headers,
            marks: text("m").unwrap_or_default(),
            stated: seconds("c"),
            validators,
            followed,
        };
        (head.format == FORMAT).then_some(head)
    }

    /// A kept header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// What the origin is asked with whether this is still right (RFC 9111, section 4.3.1).
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, &str)> {
        let Validators { etag, last_modified } = &self.validators;
        let fields = [(field::IF_NONE_MATCH, etag), (field::IF_MODIFIED_SINCE, last_modified)];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }

    /// Whether it is of a later fetch than another one of the same key.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.epoch, self.requested_at) > (other.epoch, other.requested_at)
    }

    /// Current age (RFC 9111, section 4.2.3), in seconds.
    #[must_use]
    pub fn current_age(&self, now: UnixMillis) -> Seconds {
        self.initial_age.saturating_add(now.seconds_since(self.received_at))
    }

    /// Where the line of purges stood when it was asked for, and when that was: of two, the greater is the newer.
    #[must_use]
    pub fn fetched(&self) -> (Epoch, UnixMillis) {
        (self.epoch, self.requested_at)
    }

    /// Seconds of freshness left under these lifetimes; what is negative has been stale for so long.
    ///
    /// A rule that was shortened since the response was stored holds for it too.
    #[must_use]
    pub fn ttl(&self, rule: &Lifetimes, now: UnixMillis) -> i64 {
        let by_age = i64::from(self.lifetime.min(rule.s_maxage)) - i64::from(self.current_age(now));
        match self.period_end {
            Some(end) if now >= end => by_age.min(-i64::from(now.seconds_since(end))).min(0),
            Some(_) | None => by_age,
        }
    }
}

/// JSON in ASCII alone.
fn ascii(text: String) -> String {
    if text.is_ascii() {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit).ok().filter(u8::is_ascii) {
            Some(byte) => escaped.push(char::from(byte)),
            // Writing to a string cannot fail.
            None => _ = write!(escaped, "\\u{unit:04x}"),
        }
    }
    escaped
}

/// A stored response as a tier hands it out. `B` is the tier's body: a stream that has not been read.
#[derive(Debug)]
pub struct StoredResponse<B> {
    /// By which reuse is judged.
    pub head: Rc<Head>,
    /// Of `head.length` bytes.
    pub body: B,
}

#[cfg(test)]
mod tests {
    use super::{FORMAT, Followed, Head};
    use crate::epoch::Epoch;
    use crate::rules::{Bounds, Calendar, Lifetimes, WithoutLedger};
    use crate::time::UnixMillis;
    use crate::validation::Validators;
    use alloc::string::String;

    fn head() -> Head {
        Head {
            format: FORMAT,
            status: 200,
            requested_at: UnixMillis(9_900),
            received_at: UnixMillis(10_000),
            initial_age: 5,
            lifetime: 300,
            period_end: None,
            epoch: Epoch(7),
            etag: "W/\"abc\"".into(),
            digest: "xyz".into(),
            length: 3,
            headers: vec![("content-type".into(), "application/json".into())],
            marks: String::new(),
            stated: None,
            validators: Validators::default(),
            followed: None,
        }
    }

    /// Entries outlive the build that wrote them, so these bytes may only change together with [`FORMAT`].
    const PINNED: &str = r#"{"v":1,"s":200,"q":9900,"r":10000,"a":5,"f":300,"e":7,"t":"W/\"abc\"","d":"xyz","l":3,"h":[["content-type","application/json"]]}"#;

    #[test]
    fn the_stored_text_is_pinned() {
        assert_eq!(head().encode().as_deref(), Some(PINNED));
        assert_eq!(Head::decode(PINNED), Some(head()));
    }

    /// The same of a route that follows its origin.
    const PINNED_WHOLE: &str = r#"{"v":1,"s":200,"q":9900,"r":10000,"a":5,"f":300,"e":7,"t":"W/\"abc\"","d":"xyz","l":3,"h":[["content-type","application/json"]],"c":60,"o":{"t":"\"\u00e9\"","m":"Sun, 06 Nov 1994 08:49:37 GMT"},"w":{"b":true,"r":1,"e":2,"y":"foo","k":"0f"}}"#;

    #[test]
    fn what_the_origin_said_is_stored_in_ascii() {
        let head = Head {
            stated: Some(60),
            validators: Validators {
                etag: Some("\"\u{e9}\"".into()),
                last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()),
            },
            followed: Some(Followed {
                forbids_stale: true,
                while_revalidate: 1,
                if_error: 2,
                nominated: "foo".into(),
                variance: "0f".into(),
            }),
            ..head()
        };
        assert_eq!(head.encode().as_deref(), Some(PINNED_WHOLE));
        assert_eq!(Head::decode(PINNED_WHOLE), Some(head));
        assert_eq!(Head::decode(&PINNED_WHOLE.replace("\"b\":true", "\"b\":1")), None);
    }

    #[test]
    fn another_format_or_anything_else_is_nothing() {
        for text in [&PINNED.replace("\"v\":1", "\"v\":2"), "", "{}", "null", "<html>", &PINNED.replace("200", "-1")] {
            assert_eq!(Head::decode(text), None, "{text}");
        }
    }

    #[test]
    fn a_head_that_would_not_fit_is_not_stored() {
        let mut head = head();
        head.headers.push(("content-language".into(), "x".repeat(1024)));
        assert_eq!(head.encode(), None);
        head.followed = Some(Followed {
            forbids_stale: false,
            while_revalidate: 0,
            if_error: 0,
            nominated: String::new(),
            variance: String::new(),
        });
        assert!(head.encode().is_some());
        head.headers.push(("x".into(), "x".repeat(16 * 1024)));
        assert_eq!(head.encode(), None);
    }

    #[test]
    fn a_kept_field_is_found_by_its_name() {
        let mut head = head();
        head.headers.push(("content-language".into(), "de".into()));
        assert_eq!(head.header("content-language"), Some("de"));
        assert_eq!(head.header("content-type"), Some("application/json"));
        assert_eq!(head.header("etag"), None);
    }

    #[track_caller]
    fn check_conditions(etag: Option<&str>, last_modified: Option<&str>, expected: &[(&str, &str)]) {
        let validators = Validators { etag: etag.map(String::from), last_modified: last_modified.map(String::from) };
        assert_eq!(Head { validators, ..head() }.conditions(), expected);
    }

    #[test]
    fn the_origin_is_asked_with_its_own_validators() {
        check_conditions(None, None, &[]);
        check_conditions(Some("\"a\""), None, &[("if-none-match", "\"a\"")]);
        check_conditions(None, Some("x"), &[("if-modified-since", "x")]);
        check_conditions(Some("\"a\""), Some("x"), &[("if-none-match", "\"a\""), ("if-modified-since", "x")]);
    }

    fn rule(s_maxage: u32) -> Lifetimes {
        Lifetimes {
            s_maxage,
            max_age: 0,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            soft_window: 0,
            calendar: Calendar::None,
            without_ledger: WithoutLedger::Forward,
            snapshot: Bounds { isolate: 1, bound: 5, behind: None },
        }
    }

    #[track_caller]
    fn check_ttl(head: &Head, s_maxage: u32, now: u64, expected: i64) {
        assert_eq!(head.ttl(&rule(s_maxage), UnixMillis(now)), expected);
    }

    #[test]
    fn age_counts_from_the_initial_age_and_never_runs_back() {
        assert_eq!(head().current_age(UnixMillis(10_999)), 5);
        assert_eq!(head().current_age(UnixMillis(11_000)), 6);
        assert_eq!(head().current_age(UnixMillis(0)), 5);
    }

    #[test]
    fn ttl_is_what_is_left_of_the_lesser_lifetime() {
        check_ttl(&head(), 300, 10_000, 295);
        check_ttl(&head(), 60, 10_000, 55);
        check_ttl(&head(), 300, 305_000, 0);
        check_ttl(&head(), 300, 335_000, -30);
    }

    #[test]
    fn a_boundary_ends_freshness_at_its_millisecond() {
        let mut head = head();
        head.period_end = Some(UnixMillis(20_000));
        check_ttl(&head, 300, 19_999, 286);
        check_ttl(&head, 300, 20_000, 0);
        check_ttl(&head, 300, 25_000, -5);
    }
}
