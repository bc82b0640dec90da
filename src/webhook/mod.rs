//! Webhooks: who sent one, for which tenant, and which event it means.
//!
//! Anybody can send anything here. A delivery is believed only as far as its signature reaches, over the bytes as
//! they came: what a header says and no signature covers never chooses the tenant. Until a signature holds, every
//! failure is one and the same; after it the sender is known, and is told what is wrong.

mod chatwoot;
mod settings;
mod shopify;
mod standard;

pub use settings::Webhooks;

use crate::key::Tenant;
use crate::rules::{Event, Rules, Seconds};
use crate::time::UnixMillis;
use crate::validation::hex;
use alloc::string::String;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How far a signed time may be from now, either way.
const TOLERANCE: Seconds = 300;
/// The greatest length of a delivery's id, in bytes.
const ID_GREATEST_LENGTH: usize = 256;
/// How many characters of a topic or type are repeated in an answer.
const KIND_GREATEST_LENGTH: usize = 100;

/// A scheme by which webhooks are signed, and so a kind of sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Standard Webhooks specification, version 1.0.0, with symmetric signatures.
    Standard,
    /// Shopify.
    Shopify,
    /// Chatwoot.
    Chatwoot,
}

/// A webhook that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<'r> {
    /// By which scheme it came.
    pub source: Source,
    /// What its sender calls it. Only Standard Webhooks signs it.
    pub id: String,
    /// SHA-256 of the body, in hexadecimal: a repetition has the same.
    pub digest: String,
    /// Whose data changed.
    pub tenant: Tenant,
    /// What happened. None if the rules know no such event: there is nothing to do, and nothing wrong.
    pub event: Option<&'r Event>,
    /// The topic or type, as it was sent, cut to what an answer can repeat.
    pub kind: String,
}

/// Why a webhook is not believed, or not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No such source, or none whose secrets are set.
    UnknownSource,
    /// No signature that holds, whatever the reason.
    Unauthorized,
    /// Signed, and wrong: a sentence for its sender.
    Unreadable(String),
    /// Signed, and about a tenant for which its sender does not speak, or that is none: a sentence for its sender.
    Foreign(String),
}

/// What came: header fields that may lie, and bytes.
struct Message<'m> {
    header: &'m dyn Fn(&str) -> Option<String>,
    body: &'m [u8],
    now: UnixMillis,
}

/// What a sender said, once its signature held.
struct Statement<'w> {
    id: String,
    kind: String,
    tenant: &'w Tenant,
    body: Value,
}

impl Source {
    /// The source of that name, as paths and settings have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "standard" => Some(Self::Standard),
            "shopify" => Some(Self::Shopify),
            "chatwoot" => Some(Self::Chatwoot),
            _ => None,
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Shopify => "shopify",
            Self::Chatwoot => "chatwoot",
        }
    }

    fn events(self, event: &Event, kind: &str) -> bool {
        match self {
            Self::Standard => event.name == kind,
            Self::Shopify => event.shopify.iter().any(|topic| topic == kind),
            Self::Chatwoot => event.chatwoot.iter().any(|name| name == kind),
        }
    }
}

impl Message<'_> {
    /// A field's value. One that was sent twice arrives joined by a comma and a space, which no value here contains:
    /// it counts as missing.
    fn field(&self, name: &str) -> String {
        (self.header)(name).filter(|value| !value.contains(", ")).unwrap_or_default()
    }

    /// The id in that field: visible ASCII.
    fn id(&self, name: &str) -> Result<String, Refused> {
        let id = self.field(name);
        let plain = (1..=ID_GREATEST_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if plain {
            Ok(id)
        } else {
            Err(unreadable(&format!("`{name}` is not one id of 1 to {ID_GREATEST_LENGTH} visible characters.")))
        }
    }

    /// Whether a signed time, in whole seconds since 1970, is about now.
    fn is_recent(&self, name: &str, timestamp: &str) -> Result<(), Refused> {
        let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let Some(seconds) = timestamp.parse::<u64>().ok().filter(|_| digits) else {
            return Err(unreadable(&format!("`{name}` is not a number of seconds.")));
        };
        if seconds.saturating_mul(1000).abs_diff(self.now.0) > u64::from(TOLERANCE) * 1000 {
            return Err(unreadable(&format!("`{name}` is more than {TOLERANCE} seconds from now.")));
        }
        Ok(())
    }

    /// The body.
    fn json(&self) -> Result<Value, Refused> {
        serde_json::from_slice(self.body).map_err(|error| unreadable(&format!("The body is not JSON: {error}.")))
    }
}

/// Verifies and reads a webhook that was sent to the source of that name.
///
/// # Errors
/// See [`Refused`].
pub fn receive<'r>(
    source: &str,
    header: impl Fn(&str) -> Option<String>,
    body: &[u8],
    now: UnixMillis,
    webhooks: &Webhooks,
    rules: &'r Rules,
    is_listed: impl Fn(&Tenant) -> bool,
) -> Result<Delivery<'r>, Refused> {
    let source = Source::named(source).filter(|source| webhooks.has(*source)).ok_or(Refused::UnknownSource)?;
    let message = Message { header: &header, body, now };
    let said = match source {
        Source::Standard => standard::read(&message, webhooks),
        Source::Shopify => shopify::read(&message, webhooks),
        Source::Chatwoot => chatwoot::read(&message, webhooks),
    }?;
    if !is_listed(said.tenant) {
        return Err(foreign("The shop is no tenant here."));
    }
    let event = rules.events.iter().find(|event| source.events(event, &said.kind));
    if let (Source::Shopify, Some(event)) = (source, event) {
        shopify::agrees(&said, event)?;
    }
    Ok(Delivery {
        source,
        id: said.id,
        digest: hex(&Sha256::digest(body)),
        tenant: said.tenant.clone(),
        event,
        kind: said.kind.chars().take(KIND_GREATEST_LENGTH).collect(),
    })
}

fn unreadable(sentence: &str) -> Refused {
    Refused::Unreadable(sentence.into())
}

fn foreign(sentence: &str) -> Refused {
    Refused::Foreign(sentence.into())
}
