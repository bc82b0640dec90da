//! Reads `rules.toml` into its raw form: every value with its place in the file, nothing judged yet.
//!
//! Shared with `build.rs`. The judging is in `validate`.

use super::table::Rules;
use super::validate::validate;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::Deserialize;
use toml::Spanned;

/// What is wrong with a rule, and where: printed as `rules.toml:12: route `ops`: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The rule: `route `ops``, `class `historical``, or empty for the file as a whole.
    pub rule: String,
    /// What is wrong and what would be right.
    pub sentence: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.rule.is_empty() {
            write!(f, "{}: ", self.rule)?;
        }
        f.write_str(&self.sentence)
    }
}

/// Reads and judges a rules file. `file` is only for messages.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file; one entry alone if it is not TOML of the right shape.
pub fn load(file: &str, text: &str) -> Result<Rules, Vec<RuleError>> {
    let raw: RawRules = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![RuleError {
            file: file.to_string(),
            line: line_of(text, at),
            rule: String::new(),
            sentence: error.message().to_string(),
        }]
    })?;
    validate(&raw).map_err(|mut faults| {
        faults.sort_by_key(|fault| fault.at);
        let place = |fault: Fault| RuleError {
            file: file.to_string(),
            line: line_of(text, fault.at),
            rule: fault.rule,
            sentence: fault.sentence,
        };
        faults.into_iter().map(place).collect()
    })
}

/// The line, from 1, that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A fault found while judging, at a byte offset.
pub(super) struct Fault {
    pub at: usize,
    pub rule: String,
    pub sentence: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    pub origin_prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    pub dropped_parameters: Vec<Spanned<String>>,
    #[serde(default)]
    pub class: Vec<RawClass>,
    #[serde(default)]
    pub envelope: BTreeMap<String, RawEnvelope>,
    #[serde(default)]
    pub route: Vec<RawRoute>,
    #[serde(default)]
    pub event: Vec<RawEvent>,
    #[serde(default)]
    pub role: Vec<RawRole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClass {
    pub name: Spanned<String>,
    pub policy: Option<Spanned<String>>,
    pub s_maxage: Option<Spanned<u32>>,
    pub max_age: Option<Spanned<u32>>,
    pub stale_while_revalidate: Option<Spanned<u32>>,
    pub stale_if_error: Option<Spanned<u32>>,
    pub soft_window: Option<Spanned<u32>>,
    pub ceiling: Option<Spanned<u32>>,
    pub calendar: Option<Spanned<String>>,
    pub without_ledger: Option<Spanned<String>>,
    pub snapshot_isolate: Option<Spanned<u32>>,
    pub snapshot_bound: Option<Spanned<u32>>,
    pub snapshot_behind: Option<Spanned<u32>>,
    pub response_fields: Option<Spanned<Vec<Spanned<String>>>>,
    pub value: Option<Spanned<u32>>,
    pub first_byte_timeout: Option<Spanned<u32>>,
    pub between_bytes_timeout: Option<Spanned<u32>>,
    pub total_timeout: Option<Spanned<u32>>,
    pub largest_body: Option<Spanned<u32>>,
    pub memory_percent: Option<Spanned<u32>>,
    pub lease: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEnvelope {
    pub require: RawRequirement,
    #[serde(default)]
    pub volatile: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRequirement {
    pub member: String,
    pub equals: RawScalar,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawScalar {
    Bool(bool),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub name: Spanned<String>,
    pub path: Spanned<String>,
    pub class: Option<Spanned<String>>,
    pub policy: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub hot: Option<Spanned<bool>>,
    pub personal: Option<Spanned<bool>>,
    pub s_maxage: Option<Spanned<u32>>,
    #[serde(default)]
    pub query: BTreeMap<Spanned<String>, RawParameter>,
    pub content_type: Option<Spanned<String>>,
    pub envelope: Option<Spanned<String>>,
    #[serde(default)]
    pub volatile: Vec<Spanned<String>>,
    #[serde(default)]
    pub tags: Vec<Spanned<String>>,
    pub invalidates: Option<Spanned<RawTouches>>,
    pub auth: Option<Spanned<String>>,
    #[serde(default)]
    pub roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTouches {
    #[serde(default)]
    pub routes: Vec<Spanned<String>>,
    #[serde(default)]
    pub classes: Vec<Spanned<String>>,
    #[serde(default)]
    pub tags: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    pub name: Spanned<String>,
    pub claim: Spanned<String>,
    pub values: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParameter {
    pub values: Option<Vec<String>>,
    pub integer: Option<[u32; 2]>,
    pub max_length: Option<u32>,
    pub default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub name: Spanned<String>,
    #[serde(default)]
    pub routes: Vec<Spanned<String>>,
    #[serde(default)]
    pub classes: Vec<Spanned<String>>,
    #[serde(default)]
    pub tags: Vec<Spanned<String>>,
    #[serde(default)]
    pub shopify: Vec<Spanned<String>>,
    #[serde(default)]
    pub chatwoot: Vec<Spanned<String>>,
    pub uninstalls: Option<Spanned<bool>>,
}
