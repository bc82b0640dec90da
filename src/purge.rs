//! What a call of `POST /cache/purge` asks for: read and judged whole before anything happens.
//!
//! Every name in it must exist; one that does not refuses the whole purge, so that a typing error cannot pass
//! for a purge.

use crate::classify::{Classified, classify};
use crate::config::Config;
use crate::epoch::{Mode, Scope};
use crate::invalidate::tagged;
use crate::key::{Nominated, Tenant};
use crate::rules::{Parameter, Policy, Route, Rules, Segment, Stored, Text, is_word};
use crate::small::Set;
use crate::target::Target;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Value;

/// The greatest body of a purge, in bytes.
pub const BODY_GREATEST_LENGTH: usize = 64 * 1024;
/// How many things one purge may name.
pub const ITEMS_AT_MOST: usize = 1000;

/// The greatest length of a tag, in characters.
const TAG_GREATEST_LENGTH: usize = 256;

/// What has to be in the body of a purge of all tenants.
pub const CONFIRMATION: &str = "all tenants";
/// Characters of patterns. There are no patterns, so nobody may believe that a tag with one of them is one.
const OF_PATTERNS: [char; 13] = ['*', '?', '+', '^', '$', '|', '\\', '(', ')', '[', ']', '{', '}'];

/// Whose answers are to be purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Those of this one.
    One(Tenant),
    /// Those of every tenant of the deployment.
    All,
}

/// What is to be purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// Whose.
    pub tenants: Tenants,
    /// How thoroughly.
    pub mode: Mode,
    /// What.
    pub scopes: Set<Scope>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Why a purge was refused. Nothing was purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Not JSON of the right shape.
    Unreadable(String),
    /// Readable, and asks for something that does not exist or is not allowed.
    Unprocessable(String),
}

/// The members of a purge's body.
#[derive(Default)]
struct Body {
    keys: Vec<String>,
    routes: Vec<String>,
    tags: Vec<String>,
    classes: Vec<String>,
    urls: Vec<String>,
    all: bool,
    tenant: Option<String>,
    confirm: Option<String>,
    mode: Option<String>,
    dry_run: bool,
}

impl Body {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("The body is not JSON: {error}."))?;
        let Value::Object(members) = value else { return Err("The body is not a JSON object.".to_string()) };
        let mut body = Self::default();
        for (name, value) in members {
            let wrong = || format!("`{}` is not of its type, or not a member of a purge.", shown(&name));
            match name.as_str() {
                "keys" => body.keys = strings(&value).ok_or_else(wrong)?,
                "routes" => body.routes = strings(&value).ok_or_else(wrong)?,
                "tags" => body.tags = strings(&value).ok_or_else(wrong)?,
                "classes" => body.classes = strings(&value).ok_or_else(wrong)?,
                "urls" => body.urls = strings(&value).ok_or_else(wrong)?,
                "all" => body.all = value.as_bool().ok_or_else(wrong)?,
                "dry_run" => body.dry_run = value.as_bool().ok_or_else(wrong)?,
                "tenant" => body.tenant = Some(value.as_str().ok_or_else(wrong)?.to_string()),
                "confirm" => body.confirm = Some(value.as_str().ok_or_else(wrong)?.to_string()),
                "mode" => body.mode = Some(value.as_str().ok_or_else(wrong)?.to_string()),
                _ => return Err(wrong()),
            }
        }
        Ok(body)
    }

    /// How many things it names, besides all.
    fn named(&self) -> usize {
        self.keys.len() + self.routes.len() + self.tags.len() + self.classes.len() + self.urls.len()
    }

    /// Whose answers it means.
    fn tenants(&self, only: Option<&Tenant>) -> Result<Tenants, String> {
        match (self.tenant.as_deref(), self.confirm.as_deref()) {
            (Some("*"), _) if !self.all || self.named() > 0 => {
                Err("With `\"tenant\": \"*\"` goes `\"all\": true`, and nothing else that is to be purged.".to_string())
            }
            (Some("*"), _) if self.mode.as_deref() == Some(Mode::Erase.as_str()) => {
                Err("All tenants cannot be erased at once: erase each, or purge them `hard`.".to_string())
            }
            (Some("*"), Some(CONFIRMATION)) => Ok(Tenants::All),
            (Some("*"), _) => Err(format!("A purge of all tenants needs `\"confirm\": \"{CONFIRMATION}\"`.")),
            (_, Some(_)) => Err("`confirm` belongs to a purge of all tenants: `\"tenant\": \"*\"`.".to_string()),
            (named, None) => tenant(named, only).map(Tenants::One),
        }
    }
}

/// The tenant that a call means: the one that it names, or the deployment's only one.
///
/// # Errors
/// It names none that can be meant, in a sentence.
pub fn tenant(named: Option<&str>, only: Option<&Tenant>) -> Result<Tenant, String> {
    match (named, only) {
        (None, Some(only)) => Ok(only.clone()),
        (None, None) => Err("`tenant` is missing: this deployment has more than one.".to_string()),
        (Some(named), only) => Tenant::new(named)
            .filter(|named| only.is_none_or(|only| only == named))
            .ok_or_else(|| "`tenant` is not one of this deployment.".to_string()),
    }
}

/// A list of strings and of nothing else.
fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(String::from)).collect()
}

/// Reads a purge. `only` is the deployment's tenant, if it has only one.
///
/// # Errors
/// The first thing that is wrong with it, named.
pub fn read(body: &[u8], rules: &Rules, config: &Config) -> Result<Requested, Refused> {
    let body = Body::parse(body).map_err(Refused::Unreadable)?;
    let unprocessable = |sentence: String| Err(Refused::Unprocessable(sentence));
    let Some(mode) = body.mode.as_deref() else {
        return unprocessable("`mode` is missing: say `soft`, `hard` or `erase`.".to_string());
    };
    let Some(mode) = Mode::parse(mode) else {
        return unprocessable(format!("Mode `{}` is not known: say `soft`, `hard` or `erase`.", shown(mode)));
    };
    let tenants = body.tenants(config.access.only_tenant()).map_err(Refused::Unprocessable)?;
    match body.named() {
        0 if !body.all => {
            return unprocessable(
                "It names nothing: give `keys`, `routes`, `tags`, `classes`, `urls`, or `\"all\": true`.".to_string(),
            );
        }
        count if count > ITEMS_AT_MOST => {
            return unprocessable(format!("It names {count} things; {ITEMS_AT_MOST} is the most."));
        }
        _ => {}
    }
    let mut scopes = Set::new();
    if body.all {
        scopes.insert(Scope::Tenant);
    }
    let named = (body.keys.iter().map(|name| key(rules, config, name)))
        .chain(body.routes.iter().map(|name| route(rules, name)))
        .chain(body.classes.iter().map(|name| class(rules, name)))
        .chain(body.urls.iter().map(|name| url(rules, config, name)));
    for scope in named {
        scopes.insert(scope.map_err(Refused::Unprocessable)?);
    }
    for tag in &body.tags {
        // The origin may use any string as a tag, so one that nothing carries cannot be told from a typing error.
        if tag.is_empty() || tag.len() > TAG_GREATEST_LENGTH || !tag.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return unprocessable(format!(
                "Tag `{}` is not 1 to {TAG_GREATEST_LENGTH} printable ASCII characters.",
                shown(tag)
            ));
        }
        if tag.contains(OF_PATTERNS) || tag.contains("../") {
            return unprocessable(format!(
                "Tag `{}` looks like a pattern; a tag is purged by its whole name.",
                shown(tag)
            ));
        }
        tagged(rules, tag, &mut scopes);
    }
    Ok(Requested { tenants, mode, scopes, dry_run: body.dry_run })
}

/// A name out of the request, short enough for an answer.
fn shown(name: &str) -> String {
    name.chars().take(200).collect()
}

fn class(rules: &Rules, name: &str) -> Result<Scope, String> {
    match rules.class(name).map(|class| &class.policy) {
        Some(Policy::Store(_) | Policy::Origin(_)) => Ok(Scope::Class(name.to_string())),
        Some(Policy::Live | Policy::Bypass) => {
            Err(format!("Class `{name}` is never stored, so there is nothing to purge."))
        }
        None => Err(format!("Class `{}` is not known.", shown(name))),
    }
}

fn route(rules: &Rules, name: &str) -> Result<Scope, String> {
    match (rules.stored().any(|(route, _)| route.name == name), rules.route(name)) {
        (true, _) => Ok(Scope::Route(name.to_string())),
        (false, Some(_)) => Err(format!("Route `{name}` is never stored, so there is nothing to purge.")),
        (false, None) => Err(format!("Route `{}` is not known.", shown(name))),
    }
}

/// A key as it stands in Workers KV behind the tenant: with each of its parameters.
fn key(rules: &Rules, config: &Config, text: &str) -> Result<Scope, String> {
    // Of a route that follows its origin, what stands behind its name is a URL.
    let followed = text.split_once(':').filter(|(name, url)| {
        url.starts_with('/') && rules.stored().any(|(_, stored)| stored.key == *name && stored.shape().is_none())
    });
    if let Some((_, asked)) = followed {
        return url(rules, config, asked);
    }
    let (base, query) = text.split_once('?').map_or((text, None), |(base, query)| (base, Some(query)));
    let Some((route, stored)) = rules.stored().find(|(_, stored)| stored.key == base) else {
        return Err(format!("Key `{}` is not known.", shown(text)));
    };
    let nominated = nominated(route, stored, query).ok_or_else(|| {
        format!(
            "Key `{}` does not have the parameters of route `{}`; purge the route to reach all of its keys.",
            shown(text),
            route.name
        )
    })?;
    Ok(Scope::Key { route: route.name.to_string(), key: format!("{base}{nominated}") })
}

/// The parameters of a key, if they are exactly those of its route.
fn nominated(route: &Route, stored: &Stored, query: Option<&str>) -> Option<Nominated> {
    let mut expected: Vec<(&Text, Option<&Parameter>)> =
        stored.shape()?.query.iter().map(|parameter| (&parameter.name, Some(parameter))).collect();
    expected.extend(route.path.iter().filter_map(|segment| match segment {
        Segment::Parameter { name, .. } => Some((name, None)),
        Segment::Literal(_) | Segment::Rest => None,
    }));
    let mut nominated = Nominated::default();
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=')?;
        let place = expected.iter().position(|(other, _)| *other == name)?;
        let (name, parameter) = expected.swap_remove(place);
        parameter.map_or_else(|| is_word(value), |parameter| parameter.accepts.allows(value)).then_some(())?;
        nominated.add(name.clone(), value.to_string());
    }
    expected.is_empty().then_some(nominated)
}

/// A URL or a path with its query, read as a request for it would be.
fn url(rules: &Rules, config: &Config, text: &str) -> Result<Scope, String> {
    let relative = text.starts_with('/');
    let absolute = if relative { format!("https://edge{text}") } else { text.to_string() };
    let target =
        Target::parse(&absolute).map_err(|malformed| format!("URL `{}`: {}", shown(text), malformed.sentence()))?;
    if !relative && !config.serves(target.host) {
        return Err(format!("URL `{}`: It is of a host that this deployment does not serve.", shown(text)));
    }
    match classify(rules, "GET", &target) {
        Classified::Stored(selected) => Ok(Scope::Key { route: selected.route.name.to_string(), key: selected.key }),
        Classified::Refused(refused) => Err(format!("URL `{}`: {}", shown(text), refused.sentence())),
        Classified::Health | Classified::Admin | Classified::Forward(_) | Classified::NotFound => {
            Err(format!("URL `{}` is never stored, so there is nothing to purge.", shown(text)))
        }
    }
}
