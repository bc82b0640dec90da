//! What a ledger is told to purge, and what it answers, as they go over the wire.

use crate::epoch::{Mode, Scope};
use crate::small::Set;
use alloc::string::{String, ToString as _};
use serde_json::{Value, json};

/// A purge, whoever asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// How thoroughly.
    pub mode: Mode,
    /// What.
    pub scopes: Set<Scope>,
    /// Why.
    pub occasion: Occasion,
}

/// Why something is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody with a token asked for it.
    Call {
        /// The token's name, or a part of its digest.
        by: String,
        /// How many purges it may ask for in a minute.
        per_minute: u32,
    },
    /// The origin, or a service beside it, said that something happened.
    Event {
        /// Who said it.
        source: String,
        /// Which message it is; a repeat has the same.
        id: String,
        /// Of what a repeat must equal.
        digest: String,
        /// A message of another id and the same digest is a repeat as well.
        by_digest: bool,
        /// The tenant is gone: it is listed no longer.
        delists: bool,
    },
    /// A request that was not safe succeeded.
    Write,
    /// A reader wants it anew.
    Refresh,
}

/// Why a ledger did not do as it was told. It has done nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// A message of this id came before, and was another one.
    Conflict,
    /// The tenant is not listed any more.
    NotListed,
    /// The token asked for too much.
    TooMany {
        /// When it may ask again, in seconds.
        retry_after: u32,
    },
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The receipt, as JSON.
    pub receipt: String,
    /// The same message came before: this is its receipt, and nothing else was done.
    pub is_repeat: bool,
    /// The counters after it, encoded.
    pub counters: String,
}

impl Order {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> String {
        let scopes: Value = self.scopes.iter().map(Scope::to_string).collect();
        let occasion = match &self.occasion {
            Occasion::Call { by, per_minute } => json!({ "by": by, "per_minute": per_minute }),
            Occasion::Event { source, id, digest, by_digest, delists } => json!({
                "source": source, "id": id, "digest": digest, "by_digest": by_digest, "delists": delists,
            }),
            Occasion::Write => json!({}),
            Occasion::Refresh => json!({ "refresh": true }),
        };
        json!({ "mode": self.mode.as_str(), "scopes": scopes, "occasion": occasion }).to_string()
    }

    /// Reads what [`Order::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let read: Value = serde_json::from_str(text).ok()?;
        let mut scopes = Set::new();
        for scope in read.get("scopes")?.as_array()? {
            scopes.insert(Scope::parse(scope.as_str()?)?);
        }
        let occasion = read.get("occasion")?;
        let word = |name: &str| occasion.get(name).and_then(Value::as_str).map(String::from);
        let number = |name: &str| occasion.get(name).and_then(Value::as_u64);
        let occasion = match (word("by"), word("source")) {
            (Some(by), _) => Occasion::Call { by, per_minute: u32::try_from(number("per_minute")?).ok()? },
            (None, Some(source)) => Occasion::Event {
                source,
                id: word("id")?,
                digest: word("digest")?,
                by_digest: occasion.get("by_digest")?.as_bool()?,
                delists: occasion.get("delists")?.as_bool()?,
            },
            (None, None) if occasion.get("refresh").is_some() => Occasion::Refresh,
            (None, None) => Occasion::Write,
        };
        Some(Self { mode: Mode::parse(read.get("mode")?.as_str()?)?, scopes, occasion })
    }
}

/// As a ledger answers an order.
#[must_use]
pub fn encode_answer(answer: &Result<Done, Declined>) -> String {
    match answer {
        Ok(Done { receipt, is_repeat, counters }) => {
            json!({ "receipt": receipt, "is_repeat": is_repeat, "counters": counters })
        }
        Err(Declined::Conflict) => json!({ "declined": "conflict" }),
        Err(Declined::NotListed) => json!({ "declined": "not-listed" }),
        Err(Declined::TooMany { retry_after }) => json!({ "declined": "too-many", "retry_after": retry_after }),
    }
    .to_string()
}

/// Reads what [`encode_answer`] wrote. Anything else is nothing.
#[must_use]
pub fn decode_answer(text: &str) -> Option<Result<Done, Declined>> {
    let read: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| read.get(name)?.as_str().map(String::from);
    Some(match text("declined").as_deref() {
        None => Ok(Done {
            receipt: text("receipt")?,
            is_repeat: read.get("is_repeat")?.as_bool()?,
            counters: text("counters")?,
        }),
        Some("conflict") => Err(Declined::Conflict),
        Some("not-listed") => Err(Declined::NotListed),
        Some("too-many") => {
            Err(Declined::TooMany { retry_after: u32::try_from(read.get("retry_after")?.as_u64()?).ok()? })
        }
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Declined, Done, Occasion, Order, decode_answer, encode_answer};
    use crate::epoch::{Mode, Scope};

    #[test]
    fn an_order_survives_the_wire() {
        let call = Occasion::Call { by: "ci".into(), per_minute: 60 };
        let (source, id, digest) = ("shopify".into(), "i \"d".into(), "abc".into());
        let event = Occasion::Event { source, id, digest, by_digest: true, delists: false };
        for occasion in [call, event, Occasion::Write, Occasion::Refresh] {
            for mode in [Mode::Soft, Mode::Hard, Mode::Erase] {
                let key = Scope::Key { route: "ops".into(), key: "d:ops:v1".into() };
                let scopes = [Scope::Tenant, key].into_iter().collect();
                let order = Order { mode, scopes, occasion: occasion.clone() };
                assert_eq!(Order::decode(&order.encode()), Some(order));
            }
        }
        for text in ["", "{}", "[]", r#"{"mode":"soft","scopes":["all"],"occasion":{}}"#] {
            assert_eq!(Order::decode(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let done = Done { receipt: r#"{"id":"1"}"#.into(), is_repeat: true, counters: "1\n2  tenant".into() };
        for answer in
            [Ok(done), Err(Declined::Conflict), Err(Declined::NotListed), Err(Declined::TooMany { retry_after: 7 })]
        {
            assert_eq!(decode_answer(&encode_answer(&answer)), Some(answer));
        }
        for text in ["", "{}", "5", r#"{"declined":"x"}"#, r#"{"declined":"too-many"}"#] {
            assert_eq!(decode_answer(text), None, "{text}");
        }
    }
}
