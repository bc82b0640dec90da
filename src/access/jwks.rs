//! The keys by which an issuer signs (RFC 7517), and when to ask for them again.

use crate::time::UnixMillis;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde_json::Value;

/// At most so many keys are looked at.
const KEYS_AT_MOST: usize = 16;
/// The least length of a modulus, in characters of base64url: 2048 bits (RFC 7518, section 3.3).
const MODULUS_LEAST_LENGTH: usize = 342;
/// Keys are asked for at most once in so long, in milliseconds.
pub const ASKED_EVERY_MS: u64 = 60_000;
/// While there are none at all, in so long, in milliseconds.
const MISSED_EVERY_MS: u64 = 5_000;
/// After so long they are asked for again, so that a key that was taken back is known no longer, in milliseconds.
const RENEWED_MS: u64 = 60 * 60 * 1000;
/// If that fails, those that are known are good for so long, in milliseconds.
const GOOD_MS: u64 = 24 * 60 * 60 * 1000;

/// A public RSA key, for RS256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub id: String,
    /// The modulus, in base64url.
    pub modulus: String,
    /// The exponent, in base64url.
    pub exponent: String,
}

/// What an isolate knows of an issuer's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    known: Vec<Rc<Key>>,
    /// When those came.
    since: UnixMillis,
    /// When they were last asked for, with or without an answer.
    asked: Option<UnixMillis>,
}

/// What is to be done for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing: here it is.
    Nothing(Rc<Key>),
    /// The keys are to be asked for. If that fails, this one is still good.
    Ask(Option<Rc<Key>>),
    /// Nothing can be done: there is no such key, and it was looked for a moment ago.
    Hopeless,
}

impl Keys {
    /// What is to be done for the key of this name.
    #[must_use]
    pub fn need(&self, id: &str, now: UnixMillis) -> Need {
        let age = now.0.abs_diff(self.since.0);
        let key = self.known.iter().find(|key| key.id == id && age < GOOD_MS).cloned();
        let pause = if self.is_good(now) { ASKED_EVERY_MS } else { MISSED_EVERY_MS };
        let may_ask = self.asked.is_none_or(|asked| now.0.abs_diff(asked.0) >= pause);
        match key {
            Some(key) if age < RENEWED_MS || !may_ask => Need::Nothing(key),
            None if !may_ask => Need::Hopeless,
            key => Need::Ask(key),
        }
    }

    /// Whether there are any that are good.
    #[must_use]
    pub fn is_good(&self, now: UnixMillis) -> bool {
        !self.known.is_empty() && now.0.abs_diff(self.since.0) < GOOD_MS
    }

    /// They are being asked for.
    #[must_use]
    pub fn asking(&self, now: UnixMillis) -> Self {
        Self { asked: Some(now), ..self.clone() }
    }

    /// The issuer's answer. One that holds no key at all is none.
    #[must_use]
    pub fn answered(&self, body: &str, now: UnixMillis) -> Option<Self> {
        let known = parse(body);
        (!known.is_empty()).then_some(Self { known, since: now, asked: self.asked })
    }
}

/// The keys of a set that can verify RS256. What else is in it is left out (RFC 7517, section 5).
fn parse(body: &str) -> Vec<Rc<Key>> {
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let keys = read.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    keys.iter().take(KEYS_AT_MOST).filter_map(key).map(Rc::new).collect()
}

fn key(key: &Value) -> Option<Key> {
    let word = |name: &str| key.get(name).and_then(Value::as_str);
    let fits = word("kty") == Some("RSA")
        && word("alg").is_none_or(|algorithm| algorithm == "RS256")
        && word("use").is_none_or(|purpose| purpose == "sig");
    let (id, modulus, exponent) = (word("kid")?, word("n")?, word("e")?);
    (fits && modulus.len() >= MODULUS_LEAST_LENGTH).then(|| Key {
        id: id.to_string(),
        modulus: modulus.to_string(),
        exponent: exponent.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Keys, Need};
    use crate::time::UnixMillis;
    use alloc::string::String;
    use alloc::string::ToString as _;
    use serde_json::{Value, json};

    const HOUR: u64 = 60 * 60 * 1000;

    fn key(id: &str) -> Value {
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": "n".repeat(342), "e": "AQAB" })
    }

    fn keys(now: u64) -> Keys {
        let body = json!({ "keys": [key("a"), key("b")] }).to_string();
        Keys::default().asking(UnixMillis(now)).answered(&body, UnixMillis(now)).unwrap()
    }

    fn name(need: Need) -> String {
        match need {
            Need::Nothing(key) => key.id.clone(),
            Need::Ask(None) => "ask".into(),
            Need::Ask(Some(key)) => format!("ask, or {}", key.id),
            Need::Hopeless => "hopeless".into(),
        }
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_a_minute() {
        let need = |id: &str, now: u64| name(keys(HOUR).need(id, UnixMillis(HOUR + now)));
        assert_eq!(name(Keys::default().need("a", UnixMillis(0))), "ask");
        assert_eq!(need("a", 0), "a");
        assert_eq!(need("c", 0), "hopeless");
        assert_eq!(need("c", 59_999), "hopeless");
        assert_eq!(need("c", 60_000), "ask");
        let failed = keys(HOUR).asking(UnixMillis(HOUR + 60_000));
        assert_eq!(name(failed.need("c", UnixMillis(HOUR + 119_999))), "hopeless");
        assert_eq!(name(failed.need("a", UnixMillis(HOUR + 119_999))), "a");
    }

    #[test]
    fn keys_are_renewed_each_hour_and_good_for_a_day_without() {
        let need = |now: u64| name(keys(0).need("b", UnixMillis(now)));
        assert_eq!(need(HOUR - 1), "b");
        assert_eq!(need(HOUR), "ask, or b");
        assert_eq!(need(24 * HOUR - 1), "ask, or b");
        assert_eq!(need(24 * HOUR), "ask");
        assert_eq!(name(keys(0).asking(UnixMillis(HOUR)).need("b", UnixMillis(HOUR + 1))), "b");
    }

    #[test]
    fn a_set_without_a_usable_key_is_no_answer() {
        let mut short = key("a");
        short["n"] = "n".repeat(341).into();
        let mut other = key("a");
        other["alg"] = "RS512".into();
        let mut encrypts = key("a");
        encrypts["use"] = "enc".into();
        for body in [
            String::new(),
            "<html>".into(),
            "{}".into(),
            json!({ "keys": {} }).to_string(),
            json!({ "keys": [] }).to_string(),
            json!({ "keys": [short, other, encrypts, { "kty": "EC", "kid": "a" }, 1] }).to_string(),
        ] {
            assert_eq!(keys(0).answered(&body, UnixMillis(1)), None, "{body}");
        }
    }
}
