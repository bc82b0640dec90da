//! Which rule a request falls under: an exact grammar over method, path and query. A near match is no match.

use crate::cache_status::Forward;
use crate::key::Nominated;
use crate::names::path;
use crate::rules::{
    DecidedBy, Disposition, NOCACHE, Parameter, Route, Rules, Segment, Shape, Stored, Text, VALUE_GREATEST_LENGTH,
    is_word,
};
use crate::target::Target;
use crate::validation::digest;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many parameters a query may have, those that are dropped included.
pub const PARAMETERS_AT_MOST: usize = 64;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Classified<'r> {
    /// `GET /healthz`.
    Health,
    /// Something under `/cache/`: the admin plane.
    Admin,
    /// The origin's, both ways as it stands.
    Forward(Lane<'r>),
    /// A stored route, by GET or HEAD.
    Stored(Selected<'r>),
    /// Nobody's path.
    NotFound,
    /// A stored route asked in a way that its rule does not allow.
    Refused(Refused),
}

impl<'r> Lane<'r> {
    /// The route, if one matches.
    #[must_use]
    pub fn route(self) -> Option<&'r Route> {
        match self {
            Self::Live(route) | Self::Bypass(route) | Self::Method(route) | Self::Past(route, _) => Some(route),
            Self::Unlisted => None,
        }
    }
}

/// Why a request goes to the origin without a look at the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane<'r> {
    /// A route that must be live.
    Live(&'r Route),
    /// A route that is not to be stored.
    Bypass(&'r Route),
    /// A path that no route matches.
    Unlisted,
    /// A stored route asked by a method that is not safe to answer from store.
    Method(&'r Route),
    /// A route that follows its origin, asked for what the store cannot answer, and why.
    Past(&'r Route, Forward),
}

/// A stored route with the parameters of this request.
#[derive(Debug, PartialEq, Eq)]
pub struct Selected<'r> {
    /// The route.
    pub route: &'r Route,
    /// How it is kept.
    pub stored: &'r Stored,
    /// The logical key, with all that selects the answer.
    pub key: String,
    /// The query with which the origin is asked, from its question mark: the canonical one, or the client's where the
    /// route follows its origin.
    pub query: String,
    /// `?nocache=true` was given. It means something from an operator alone.
    pub nocache: bool,
}

/// What is wrong with the query of a stored route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A parameter that the rule does not know.
    Unknown(String),
    /// More parameters than any request has use for.
    TooMany,
    /// A parameter that is there twice.
    Twice(String),
    /// A value that the rule does not accept.
    Value(String),
    /// A parameter without default that is not there.
    Missing(String),
}

impl Refused {
    /// What is wrong, for whoever sent it. Names come from the request; the caller writes them as JSON.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::TooMany => format!("The query has more than {PARAMETERS_AT_MOST} parameters."),
            Self::Unknown(name) => format!("Query parameter `{name}` is not known on this route."),
            Self::Twice(name) => format!("Query parameter `{name}` is given twice."),
            Self::Value(name) => format!("Parameter `{name}` has a value that this route does not accept."),
            Self::Missing(name) => format!("Query parameter `{name}` is missing."),
        }
    }
}

/// The rule for a request.
#[must_use]
pub fn classify<'r>(rules: &'r Rules, method: &str, target: &Target<'_>) -> Classified<'r> {
    match target.path {
        path::HEALTH => return Classified::Health,
        asked if asked.strip_prefix(path::ADMIN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) => {
            return Classified::Admin;
        }
        asked if !rules.origin_prefixes.iter().any(|prefix| asked.starts_with(prefix.as_ref())) => {
            return Classified::NotFound;
        }
        _ => {}
    }
    let Some((route, in_path)) = rules.routes.iter().find_map(|route| Some((route, matches(route, target)?))) else {
        // Many servers take it for the route. What that one is asked for by its readers alone, this must not open.
        let is_near = rules.routes.iter().any(|route| !route.roles.is_empty() && is_near(route, target));
        return if is_near { Classified::NotFound } else { Classified::Forward(Lane::Unlisted) };
    };
    match &route.disposition {
        Disposition::Live => Classified::Forward(Lane::Live(route)),
        Disposition::Bypass => Classified::Forward(Lane::Bypass(route)),
        Disposition::Store(_) if method != "GET" && method != "HEAD" => Classified::Forward(Lane::Method(route)),
        Disposition::Store(stored) => {
            let selected = match &stored.decided_by {
                DecidedBy::Class(shape) => select(rules, route, stored, shape, in_path, target.query),
                DecidedBy::Origin => Ok(follow(route, stored, target)),
            };
            selected.map_or_else(Classified::Refused, Classified::Stored)
        }
    }
}

/// How much of a URL stands in a key as it is. What is longer is known by its SHA-256: a ledger keeps keys.
const URL_IN_KEY_GREATEST_LENGTH: usize = 256;

/// What selects the answer of a route that follows its origin: path and query as they stand.
fn follow<'r>(route: &'r Route, stored: &'r Stored, target: &Target<'_>) -> Selected<'r> {
    let url = target.after_host();
    let query = url.get(target.path.len()..).unwrap_or_default().to_string();
    let key = if url.len() > URL_IN_KEY_GREATEST_LENGTH {
        format!("{}:{}", stored.key, digest(url.as_bytes()))
    } else {
        format!("{}:{url}", stored.key)
    };
    Selected { route, stored, key, query, nocache: false }
}

/// What selects the answer of a stored route, from path and query.
fn select<'r>(
    rules: &'r Rules,
    route: &'r Route,
    stored: &'r Stored,
    shape: &'r Shape,
    in_path: Vec<(Text, String)>,
    query: &str,
) -> Result<Selected<'r>, Refused> {
    let (query, nocache) = read_query(&shape.query, &rules.dropped_parameters, query)?;
    let mut in_key = query.clone();
    for (name, value) in in_path {
        if value.len() > VALUE_GREATEST_LENGTH {
            return Err(Refused::Value(name.into_owned()));
        }
        in_key.add(name, value);
    }
    Ok(Selected { route, stored, key: format!("{}{in_key}", stored.key), query: query.to_string(), nocache })
}

/// The path's parameters, if the route matches it whole.
fn matches(route: &Route, target: &Target<'_>) -> Option<Vec<(Text, String)>> {
    let mut in_path = Vec::new();
    let mut asked = target.segments();
    for segment in route.path.iter() {
        let text = asked.next()?;
        match segment {
            Segment::Literal(literal) => (text == literal).then_some(())?,
            Segment::Parameter { name, suffix } => {
                let value = text.strip_suffix(suffix.as_ref())?;
                is_word(value).then(|| in_path.push((name.clone(), value.to_string())))?;
            }
            Segment::Rest => return Some(in_path),
        }
    }
    asked.next().is_none().then_some(in_path)
}

/// Whether a lenient server might take a path for that of a route: in another case, with a slash, a parameter or an
/// ending behind it.
fn is_near(route: &Route, target: &Target<'_>) -> bool {
    let stem = |text: &str| {
        let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        text.split(|character| !plain(character)).next().unwrap_or_default().to_ascii_lowercase()
    };
    let mut asked = target.segments().filter(|segment| !segment.is_empty());
    let near = |segment: &Segment| {
        asked.next().is_some_and(|text| match segment {
            Segment::Literal(literal) => stem(text) == stem(literal),
            Segment::Parameter { .. } | Segment::Rest => true,
        })
    };
    route.path.iter().all(near) && asked.next().is_none()
}

/// Takes a query apart, once: its nominated parameters, and whether it says `nocache=true`. Nothing is decoded:
/// what would need it is not an accepted value.
fn read_query(known: &[Parameter], dropped: &[Text], query: &str) -> Result<(Nominated, bool), Refused> {
    let mut seen: Vec<&str> = Vec::new();
    let mut nominated = Nominated::default();
    let mut nocache = false;
    if query.split('&').nth(PARAMETERS_AT_MOST).is_some() {
        return Err(Refused::TooMany);
    }
    for pair in query.split('&').filter(|_| !query.is_empty()) {
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        if dropped.iter().any(|other| other == name) {
            continue;
        }
        let shown = || name.chars().take(64).collect::<String>();
        if seen.contains(&name) {
            return Err(Refused::Twice(shown()));
        }
        if name == NOCACHE {
            nocache = value == Some("true");
        } else if let Some(parameter) = known.iter().find(|parameter| parameter.name == name) {
            let value = value.filter(|value| parameter.accepts.allows(value)).ok_or_else(|| Refused::Value(shown()))?;
            nominated.add(parameter.name.clone(), value.to_string());
        } else {
            return Err(Refused::Unknown(shown()));
        }
        seen.push(name);
    }
    for parameter in known.iter().filter(|parameter| !seen.contains(&parameter.name.as_ref())) {
        match &parameter.default {
            Some(default) => nominated.add(parameter.name.clone(), default.to_string()),
            None => return Err(Refused::Missing(parameter.name.to_string())),
        }
    }
    Ok((nominated, nocache))
}

#[cfg(test)]
mod tests;
