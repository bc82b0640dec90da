//! The cache key: tenant, logical key, nominated parameters, as one canonical text.
//!
//! Two requests with one key send the same bytes to the origin: the target that is forwarded is made from the
//! same parts. The text is at the same time the name of the entry in Workers KV.

use crate::rules::{TENANT_GREATEST_LENGTH, Text};
use crate::small::Map;
use alloc::string::String;
use core::fmt::{self, Write as _};

/// Whose data it is: a shop's host name, of `[a-z0-9.-]`, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenant(String);

impl Tenant {
    /// Accepts a name of `[a-z0-9.-]` that starts with a letter or digit.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        (starts && name.len() <= TENANT_GREATEST_LENGTH && name.bytes().all(plain)).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nominated parameters with their values, in the order of their names. No character of them needs encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nominated(Map<Text, String>);

impl Nominated {
    /// Adds one. A name that is there already keeps its value.
    pub fn add(&mut self, name: Text, value: String) {
        if self.0.get(&name).is_none() {
            self.0.insert(name, value);
        }
    }
}

/// `?days=30&from=2026`, or nothing.
impl fmt::Display for Nominated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            f.write_char(if index == 0 { '?' } else { '&' })?;
            write!(f, "{name}={value}")?;
        }
        Ok(())
    }
}

/// Names one stored response.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    text: String,
    tenant_length: usize,
    /// Where the logical key begins, and how long it is.
    logical: (usize, usize),
}

impl CacheKey {
    /// The key of a tenant's answer: `{tenant}/{key}`, and for a role `;role=owner`. `key` is the logical one, with its
    /// parameters.
    #[must_use]
    pub fn new(tenant: &Tenant, key: &str, role: Option<&str>) -> Self {
        let tenant = tenant.as_str();
        let logical = (tenant.len().saturating_add(1), key.len());
        let key = Self { text: format!("{tenant}/{key}"), tenant_length: tenant.len(), logical };
        match role {
            Some(role) => key.of(ROLE, role),
            None => key,
        }
    }

    /// That of the variant which requests of this variance select (RFC 9111, section 4.1). The variance stands before the
    /// key: behind it, a URL could spell the same.
    #[must_use]
    pub fn variant(&self, variance: &str) -> Self {
        let (at, length) = self.logical;
        let tenant = self.tenant();
        let rest = self.text.get(self.tenant_length..).unwrap_or_default();
        let text = format!("{tenant};vary={variance}{rest}");
        let logical = (at.saturating_add(text.len().saturating_sub(self.text.len())), length);
        Self { text, logical, ..*self }
    }

    /// By which requests find each other that ask the origin in the same words.
    #[must_use]
    pub fn asked(&self, words: &str) -> Self {
        self.of(";asked=", words)
    }

    fn of(&self, what: &str, value: &str) -> Self {
        Self { text: format!("{}{what}{value}", self.text), ..*self }
    }

    /// The whole text, as it stands in Workers KV.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tenant's name.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.text.get(..self.tenant_length).unwrap_or_default()
    }

    /// The key within its tenant, under which it is purged, for all roles and variants at once: `dashboard:trends:revenue:v1?days=30`.
    #[must_use]
    pub fn logical(&self) -> &str {
        let (at, length) = self.logical;
        self.text.get(at..at.saturating_add(length)).unwrap_or_default()
    }
}

/// What stands before the role in a key. No value of a parameter contains it.
const ROLE: &str = ";role=";

/// The logical key in what follows the tenant in an entry's name.
#[must_use]
pub fn logical(name: &str) -> &str {
    name.split_once(ROLE).map_or(name, |(logical, _)| logical)
}

#[cfg(test)]
mod tests {
    use super::{CacheKey, Nominated, Tenant, logical};

    #[test]
    fn a_tenant_is_a_plain_host_name() {
        for name in ["a", "hotroddash.myshopify.com", "0-a", &"a".repeat(128)] {
            assert!(Tenant::new(name).is_some(), "{name}");
        }
        for name in ["", ".", "-a", "A", "a/b", "a b", "a:b", "caf\u{e9}", &"a".repeat(129)] {
            assert!(Tenant::new(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_text_is_tenant_key_and_parameters_in_order() {
        let tenant = Tenant::new("a.test").unwrap();
        let mut nominated = Nominated::default();
        nominated.add("to".into(), "2".into());
        nominated.add("from".into(), "1".into());
        let logical_key = format!("d:x:v1{nominated}");
        let key = CacheKey::new(&tenant, &logical_key, Some("owner"));
        assert_eq!(key.as_str(), "a.test/d:x:v1?from=1&to=2;role=owner");
        assert_eq!(logical("d:x:v1?from=1&to=2;role=owner"), key.logical());
        let shared = CacheKey::new(&tenant, &logical_key, None);
        assert_eq!(shared.as_str(), "a.test/d:x:v1?from=1&to=2");
        assert_eq!(shared.variant("0f").as_str(), "a.test;vary=0f/d:x:v1?from=1&to=2");
        assert_eq!(shared.asked("0f").as_str(), "a.test/d:x:v1?from=1&to=2;asked=0f");
        assert_eq!(shared.variant("0f").logical(), shared.logical());
        assert_eq!(shared.variant("0f").tenant(), "a.test");
        assert_eq!(key.tenant(), "a.test");
        assert_eq!(key.logical(), "d:x:v1?from=1&to=2");
    }
}
