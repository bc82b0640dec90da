//! Cloudflare Access's assertions: RS256 under one of the team's published keys.

use super::jwt::Claims;
use crate::key::Tenant;
use crate::names::setting;
use crate::small::Map;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

/// Where a team's keys are.
const CERTS: &str = "/cdn-cgi/access/certs";

/// What assertions are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertions {
    /// The team's address, which is the issuer's name too.
    team: String,
    audiences: Vec<String>,
    /// The way through the claims to the one that says the tenant.
    claim: Vec<String>,
    /// Which of its values are which tenant. Without it, the value is the tenant.
    map: Option<Tenants>,
}

impl Assertions {
    /// Reads the tags of the applications, separated by spaces, and by what the tenant is known, as JSON.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(team: String, audiences: &str, tenants: &str) -> Result<Self, String> {
        let audiences: Vec<String> = audiences.split_whitespace().map(String::from).collect();
        let (claim, map) = by_claim(tenants).ok_or_else(|| {
            format!(
                "{} must be {{\"claim\":\"custom.shop\"}}, or {{\"claim\":\"email\",\"map\":{{\"ann@a.test\":\"a.myshopify.com\",\"@b.test\":\"b.myshopify.com\"}}}}, with tenants of `a-z0-9.-`.",
                setting::ACCESS_TENANTS
            )
        })?;
        Ok(Self { team, audiences, claim, map })
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys_url(&self) -> String {
        format!("{}{CERTS}", self.team)
    }

    /// Whether it was issued by the team, for one of the applications.
    #[must_use]
    pub fn accepts(&self, claims: &Claims) -> bool {
        claims.text("iss") == Some(self.team.as_str()) && claims.is_for(&self.audiences)
    }

    /// Whose data it opens.
    #[must_use]
    pub fn tenant(&self, claims: &Claims) -> Option<Tenant> {
        let value = claims.at(self.claim.iter().map(String::as_str))?.as_str()?;
        let Some(map) = &self.map else { return Tenant::new(value) };
        let domain = || map.get(value.get(value.rfind('@')?..)?);
        map.get(value).or_else(domain).cloned()
    }
}

/// Which values of a claim are which tenant.
type Tenants = Map<String, Tenant>;

/// The claim's path, and the map if there is one.
fn by_claim(text: &str) -> Option<(Vec<String>, Option<Tenants>)> {
    let read: Value = serde_json::from_str(text).ok()?;
    let members = read.as_object()?;
    if members.keys().any(|name| name != "claim" && name != "map") {
        return None;
    }
    let claim = members.get("claim")?.as_str().filter(|claim| !claim.is_empty())?;
    let Some(given) = members.get("map") else { return Some((path(claim), None)) };
    let mut map = Map::new();
    for (value, tenant) in given.as_object().filter(|given| !given.is_empty())? {
        map.insert(value.clone(), Tenant::new(tenant.as_str()?)?);
    }
    Some((path(claim), Some(map)))
}

fn path(claim: &str) -> Vec<String> {
    claim.split('.').map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::super::jwt::Claims;
    use super::Assertions;
    use alloc::string::String;
    use serde_json::{Value, json};

    fn read(tenants: &str) -> Result<Assertions, String> {
        Assertions::read("https://team.test".into(), "tag other", tenants)
    }

    fn tenant(tenants: &str, claims: Value) -> Option<String> {
        read(tenants).unwrap().tenant(&Claims(claims)).map(|tenant| tenant.as_str().into())
    }

    #[test]
    fn team_and_application_must_be_ours() {
        let assertions = read(r#"{"claim":"shop"}"#).unwrap();
        assert_eq!(assertions.keys_url(), "https://team.test/cdn-cgi/access/certs");
        for (iss, aud, accepted) in [
            ("https://team.test", json!(["tag"]), true),
            ("https://team.test", json!("other"), true),
            ("https://team.test", json!(["tags"]), false),
            ("https://team.test/", json!(["tag"]), false),
            ("https://other.test", json!(["tag"]), false),
        ] {
            assert_eq!(assertions.accepts(&Claims(json!({ "iss": iss, "aud": aud }))), accepted, "{iss} {aud}");
        }
    }

    #[test]
    fn the_tenant_is_a_claim_or_what_it_is_mapped_to() {
        let claim = r#"{"claim":"custom.shop"}"#;
        assert_eq!(tenant(claim, json!({ "custom": { "shop": "a.test" } })).as_deref(), Some("a.test"));
        for wrong in [
            json!({}),
            json!({ "custom": "a.test" }),
            json!({ "custom": { "shop": "a/b" } }),
            json!({ "custom": { "shop": ["a.test"] } }),
        ] {
            assert_eq!(tenant(claim, wrong.clone()), None, "{wrong}");
        }
        let map = r#"{"claim":"email","map":{"ann@a.test":"a.test","@b.test":"b.test"}}"#;
        for (email, expected) in [
            ("ann@a.test", Some("a.test")),
            ("bob@a.test", None),
            ("bob@b.test", Some("b.test")),
            ("b.test", None),
            ("x@b.test@c.test", None),
            ("x@c.test@b.test", Some("b.test")),
        ] {
            assert_eq!(tenant(map, json!({ "email": email })).as_deref(), expected, "{email}");
        }
    }

    #[test]
    fn settings_that_name_no_tenant_are_refused() {
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"claim":""}"#,
            r#"{"claim":1}"#,
            r#"{"claim":"a","map":{}}"#,
            r#"{"claim":"a","map":{"b":"c/d"}}"#,
            r#"{"claim":"a","maps":{}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
