//! Who may send, and for whom: the secret `WEBHOOKS`.
//!
//! ```json
//! {
//!   "standard": [{ "secret": "whsec_...", "tenants": ["a.myshopify.com"] }],
//!   "shopify": [{ "secret": "...", "tenant": "a.myshopify.com" }],
//!   "chatwoot": [{ "secret": "...", "accounts": { "1": "a.myshopify.com" } }]
//! }
//! ```
//!
//! While a secret is rotated there are two entries. What verifies a delivery says for whom it may speak, so no
//! secret stands twice. Sentences about a mistake name its place and never what stands there.

use super::Source;
use crate::key::Tenant;
use crate::names::setting::WEBHOOKS;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use core::fmt;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

/// The least length of a secret, in bytes.
const SECRET_LEAST_LENGTH: usize = 16;

/// All that may send.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    senders: Vec<Sender>,
}

/// One secret, and for whom it speaks.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    source: Source,
    secret: Secret,
    /// Each tenant with what its sender calls it.
    tenants: Vec<(String, Tenant)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Secret(Vec<u8>);

/// Never the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Webhooks {
    /// Reads the setting.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Ok(Value::Object(sources)) = serde_json::from_str(text) else {
            return Err(format!("{WEBHOOKS} is not a JSON object."));
        };
        let mut senders = Vec::<Sender>::new();
        for (name, entries) in &sources {
            let Some(source) = Source::named(name) else {
                return Err(format!("{WEBHOOKS} has a member other than `standard`, `shopify` and `chatwoot`."));
            };
            let Value::Array(entries) = entries else { return Err(format!("{WEBHOOKS}: `{name}` is not a list.")) };
            for (index, entry) in entries.iter().enumerate() {
                let wrong = |what: &str| format!("{WEBHOOKS}: `{name}[{index}]` {what}.");
                let sender = Sender::parse(source, entry).map_err(wrong)?;
                if senders.iter().any(|other| other.secret == sender.secret) {
                    return Err(wrong("has the secret of another entry"));
                }
                senders.push(sender);
            }
        }
        Ok(Self { senders })
    }

    /// Whether anybody may send from that source.
    #[must_use]
    pub fn has(&self, source: Source) -> bool {
        self.senders.iter().any(|sender| sender.source == source)
    }

    /// The sender whose HMAC-SHA256 (RFC 2104) of all `parts`, written as signatures of its scheme are, is one of
    /// `signatures`. Every secret is tried with every signature, so the time tells nothing of which was nearly right.
    pub(super) fn signed_by(
        &self,
        source: Source,
        parts: &[&[u8]],
        written: fn(&[u8]) -> String,
        signatures: &[&str],
    ) -> Option<&Sender> {
        let mut found = None;
        for sender in self.senders.iter().filter(|sender| sender.source == source) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&sender.secret.0).ok()?;
            for part in parts {
                mac.update(part);
            }
            let right = written(&mac.finalize().into_bytes());
            let mut holds = Choice::from(0);
            for signature in signatures {
                holds |= right.as_bytes().ct_eq(signature.as_bytes());
            }
            if holds.into() {
                found = Some(sender);
            }
        }
        found
    }
}

impl Sender {
    fn parse(source: Source, entry: &Value) -> Result<Self, &'static str> {
        let Value::Object(members) = entry else { return Err("is not an object") };
        let whom = match source {
            Source::Standard => "tenants",
            Source::Shopify => "tenant",
            Source::Chatwoot => "accounts",
        };
        if members.keys().any(|name| name != "secret" && name != whom) {
            return Err("has a member that is not of its source");
        }
        let secret = members.get("secret").and_then(Value::as_str).ok_or("has no `secret`")?;
        let secret = match source {
            Source::Standard => secret
                .strip_prefix("whsec_")
                .and_then(|encoded| Base64::decode_vec(encoded).ok())
                .ok_or("has a `secret` that is not `whsec_` and base64")?,
            Source::Shopify | Source::Chatwoot => secret.as_bytes().to_vec(),
        };
        if secret.len() < SECRET_LEAST_LENGTH {
            return Err("has a `secret` of fewer than 16 bytes");
        }
        let tenants = members.get(whom).and_then(|value| tenants(source, value)).filter(|tenants| !tenants.is_empty());
        let tenants = tenants.ok_or(match source {
            Source::Standard => "has no `tenants`, a list of host names",
            Source::Shopify => "has no `tenant`, a host name",
            Source::Chatwoot => "has no `accounts`, numbers with host names",
        })?;
        Ok(Self { source, secret: Secret(secret), tenants })
    }

    /// The tenant with this name at the sender.
    pub(super) fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|(called, _)| called == name).map(|(_, tenant)| tenant)
    }

    /// The tenant, if the secret speaks for no other.
    pub(super) fn only_tenant(&self) -> Option<&Tenant> {
        match self.tenants.as_slice() {
            [(_, tenant)] => Some(tenant),
            _ => None,
        }
    }
}

fn tenants(source: Source, value: &Value) -> Option<Vec<(String, Tenant)>> {
    let named = |value: &Value| value.as_str().and_then(|name| Some((name.to_string(), Tenant::new(name)?)));
    match (source, value) {
        (Source::Standard, Value::Array(shops)) => shops.iter().map(named).collect(),
        (Source::Shopify, shop) => Some(vec![named(shop)?]),
        (Source::Chatwoot, Value::Object(accounts)) => {
            let account = |(id, name): (&String, &Value)| {
                let canonical = id.parse::<u64>().is_ok_and(|number| number.to_string() == *id);
                Some((id.clone(), named(name).filter(|_| canonical)?.1))
            };
            accounts.iter().map(account).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Webhooks;
    use crate::webhook::Source;
    use alloc::string::String;

    const STANDARD: &str = "whsec_aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQtd2ViaG9vay1rZXk=";

    fn wrong(text: &str) -> String {
        Webhooks::parse(text).expect_err(text)
    }

    #[test]
    fn a_source_is_known_once_it_has_a_secret() {
        let text = format!(
            r#"{{"standard": [{{"secret": "{STANDARD}", "tenants": ["a.test", "b.test"]}}],
                 "shopify": [],
                 "chatwoot": [{{"secret": "0123456789abcdef", "accounts": {{"1": "a.test", "20": "b.test"}}}}]}}"#
        );
        let webhooks = Webhooks::parse(&text).unwrap();
        assert!(webhooks.has(Source::Standard) && webhooks.has(Source::Chatwoot) && !webhooks.has(Source::Shopify));
        assert!(!Webhooks::parse("{}").unwrap().has(Source::Standard));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place_and_never_repeated() {
        let entry =
            |source: &str, secret: &str, rest: &str| format!(r#"{{"{source}": [{{"secret": "{secret}"{rest}}}]}}"#);
        for (text, expected) in [
            (String::new(), "WEBHOOKS is not a JSON object."),
            ("[]".into(), "WEBHOOKS is not a JSON object."),
            (
                r#"{"0123456789abcdef": []}"#.into(),
                "WEBHOOKS has a member other than `standard`, `shopify` and `chatwoot`.",
            ),
            (r#"{"shopify": {"secret": "0123456789abcdef"}}"#.into(), "WEBHOOKS: `shopify` is not a list."),
            (r#"{"shopify": ["0123456789abcdef"]}"#.into(), "WEBHOOKS: `shopify[0]` is not an object."),
            (r#"{"shopify": [{"tenant": "a.test"}]}"#.into(), "WEBHOOKS: `shopify[0]` has no `secret`."),
            (
                entry("shopify", "0123456789abcdef", r#", "accounts": {"1": "a.test"}"#),
                "WEBHOOKS: `shopify[0]` has a member that is not of its source.",
            ),
            (
                entry("shopify", "0123456789abcde", r#", "tenant": "a.test""#),
                "WEBHOOKS: `shopify[0]` has a `secret` of fewer than 16 bytes.",
            ),
            (
                entry("standard", "whsec_MDEyMzQ1Njc4OWFiY2Rl", r#", "tenants": ["a.test"]"#),
                "WEBHOOKS: `standard[0]` has a `secret` of fewer than 16 bytes.",
            ),
            (entry("shopify", "0123456789abcdef", ""), "WEBHOOKS: `shopify[0]` has no `tenant`, a host name."),
            (
                entry("shopify", "0123456789abcdef", r#", "tenant": "A.test""#),
                "WEBHOOKS: `shopify[0]` has no `tenant`, a host name.",
            ),
        ] {
            let sentence = wrong(&text);
            assert_eq!(sentence, expected);
            assert!(!sentence.contains("0123456789"), "{sentence}");
        }
        for tenants in ["", r#", "tenants": []"#, r#", "tenants": "a.test""#, r#", "tenants": ["a.test", "-"]"#] {
            let sentence = wrong(&entry("standard", STANDARD, tenants));
            assert_eq!(sentence, "WEBHOOKS: `standard[0]` has no `tenants`, a list of host names.", "{tenants}");
        }
        for accounts in
            ["{}", r#"{"01": "a.test"}"#, r#"{"+1": "a.test"}"#, r#"{"one": "a.test"}"#, r#"{"1": "-"}"#, "[]"]
        {
            let sentence = wrong(&entry("chatwoot", "0123456789abcdef", &format!(r#", "accounts": {accounts}"#)));
            assert_eq!(sentence, "WEBHOOKS: `chatwoot[0]` has no `accounts`, numbers with host names.", "{accounts}");
        }
    }

    #[test]
    fn a_standard_secret_is_canonical_base64() {
        for secret in [
            "aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQ=",
            "whsec_",
            "whsec_aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQ",
            "whsec_aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnR=",
            "whsec_ aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQ=",
            "whsec_aG90cm9kLWVkZ2Ut-_V2ZWxvcG1lbnQ=",
            "WHSEC_aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQ=",
        ] {
            let sentence = wrong(&format!(r#"{{"standard": [{{"secret": "{secret}", "tenants": ["a.test"]}}]}}"#));
            let short = secret == "whsec_";
            let expected = if short { "of fewer than 16 bytes" } else { "that is not `whsec_` and base64" };
            assert_eq!(sentence, format!("WEBHOOKS: `standard[0]` has a `secret` {expected}."), "{secret}");
        }
    }

    #[test]
    fn one_secret_speaks_for_one_entry() {
        let twice = r#"{"shopify": [{"secret": "0123456789abcdef", "tenant": "a.test"},
                                    {"secret": "0123456789abcdef", "tenant": "b.test"}]}"#;
        assert_eq!(wrong(twice), "WEBHOOKS: `shopify[1]` has the secret of another entry.");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let webhooks = Webhooks::parse(r#"{"shopify": [{"secret": "0123456789abcdef", "tenant": "a.test"}]}"#).unwrap();
        let printed = format!("{webhooks:?}");
        assert!(
            printed.contains("a.test") && !printed.contains("0123456789abcdef") && !printed.contains("48, 49"),
            "{printed}"
        );
    }
}
