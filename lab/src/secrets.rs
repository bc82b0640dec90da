//! What must not be told: by a Worker's log, or by an answer that it makes itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::Response;

/// What tests send as a cookie of somebody.
pub const COOKIE: &str = "cart=cookie-of-somebody-7421";
/// What tests send as somebody's e-mail address.
pub const EMAIL: &str = "somebody-7421@customer.example";
/// What tests send as a customer.
pub const CUSTOMER: &str = "customer-of-somebody-7421";

/// Shorter ones may stand in a sentence by chance.
const LEAST_LENGTH: usize = 8;

/// The secrets of a deployment, and whatever else must not be told.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Those among these variables, by their names.
    pub(crate) fn of<'a>(vars: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let secret = |name: &str| name.contains("SECRET") || name.contains("TOKEN") || name == "WEBHOOKS";
        let values = vars.into_iter().flatten().filter(|(name, _)| secret(name)).flat_map(|(_, value)| words(value));
        let mut all: Vec<_> = values.filter(|value| value.len() >= LEAST_LENGTH).collect();
        all.extend([COOKIE, EMAIL, CUSTOMER].map(str::to_owned));
        Self(all)
    }

    /// A log holds none of them, and no credential of anybody.
    pub fn check_log(&self, log: &str) {
        let told = self.found(log).or_else(|| log.contains("Bearer ").then_some("a bearer token"));
        assert_eq!(told, None, "the log tells what it must not:\n{log}");
    }

    /// No field of an answer holds one, nor the body of an answer that the edge made.
    #[track_caller]
    pub(crate) fn check_answer(&self, name: &str, is_edges: bool, response: &Response) {
        for (field, value) in &response.fields.0 {
            assert_eq!(self.found(value), None, "{name}: {field} tells what it must not: {value}");
        }
        if is_edges {
            let text = response.text();
            assert_eq!(self.found(&text), None, "{name}: the body tells what it must not: {text}");
        }
    }

    fn found<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.0.iter().map(String::as_str).find(|secret| text.contains(secret)).or_else(|| jwt(text))
    }
}

/// The secrets in one value: of JSON its members `secret` and `sha256`, else the whole and its words.
fn words(value: &str) -> Vec<String> {
    match serde_json::from_str(value) {
        Ok(json @ (Value::Array(_) | Value::Object(_))) => members(&json),
        _ => value
            .split_whitespace()
            .filter(|word| word.len() >= 2 * LEAST_LENGTH)
            .chain([value])
            .map(str::to_owned)
            .collect(),
    }
}

fn members(json: &Value) -> Vec<String> {
    match json {
        Value::Array(items) => items.iter().flat_map(members).collect(),
        Value::Object(object) => {
            let secret = |(name, value): (&String, &Value)| match value.as_str() {
                Some(text) => (name == "secret" || name == "sha256").then(|| text.to_owned()).into_iter().collect(),
                None => members(value),
            };
            object.iter().flat_map(secret).collect()
        }
        _ => Vec::new(),
    }
}

/// The first JSON Web Token: `{"` in base64url, and a point after it.
fn jwt(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices("eyJ").map(|(at, _)| &text[at..]).find(|rest| rest.trim_start_matches(plain).starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::{CUSTOMER, Secrets};
    use std::collections::BTreeMap;

    fn secrets() -> Secrets {
        let vars = [
            ("ORIGIN_SECRET", "origin-secret"),
            ("SESSION_SECRETS", "the-first-of-two-secrets the-other-of-two-secrets"),
            ("PURGE_TOKENS", r#"[{"name": "deployments", "sha256": "0123456789abcdef"}]"#),
            ("WEBHOOKS", r#"{"shopify": [{"secret": "of a webhook", "tenant": "a.test"}]}"#),
            ("ZONE_TOKEN", "short"),
            ("TENANT", "hotroddash.myshopify.com"),
        ];
        Secrets::of([&BTreeMap::from(vars.map(|(name, value)| (name.to_owned(), value.to_owned())))])
    }

    #[test]
    fn each_secret_and_each_credential_is_found() {
        for told in [
            "origin-secret",
            "the-first-of-two-secrets",
            "the-other-of-two-secrets",
            "0123456789abcdef",
            "of a webhook",
            CUSTOMER,
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "eyJ of eyJhbGciOiJub25lIn0.",
        ] {
            assert!(secrets().found(&format!("x{told}y")).is_some(), "{told}");
        }
        assert!(std::panic::catch_unwind(|| secrets().check_log("Authorization: Bearer x")).is_err());
    }

    #[test]
    fn what_is_no_secret_is_not() {
        for told in ["", "hotroddash.myshopify.com a.test deployments", "short", "eyJ", "eyJ sentence."] {
            assert_eq!(secrets().found(told), None, "{told}");
        }
        secrets().check_log("The ledger did not answer: bearer of bad news.");
    }
}
