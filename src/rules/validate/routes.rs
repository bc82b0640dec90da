//! Routes: paths that do not overlap, and on the stored ones a key, an envelope and a life that a tier can keep.

use super::super::parse::{RawEnvelope, RawRoute, RawRules, RawScalar};
use super::super::table::{
    DecidedBy, Disposition, KV_LEAST_LIFE, Lifetimes, List, Parameter, Policy, Requirement, Role, Route, Scalar,
    Segment, Shape, Stored, TENANT_GREATEST_LENGTH, Text, VALUE_GREATEST_LENGTH, is_json, is_word,
};
use super::classes::{KnownClass, over_ceiling};
use super::query::query;
use super::roles::{NAME_GREATEST_LENGTH, admitted};
use super::touches::judge_tags;
use super::{Faults, judge_name, texts};
use crate::names;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use toml::Spanned;

/// Paths that belong to the edge itself.
const RESERVED_PATHS: [&str; 2] = [names::path::ADMIN, names::path::HEALTH];
/// The greatest length of a key without its parameters.
const KEY_GREATEST_LENGTH: usize = 128;
/// What a tenant's name and the slash behind it leave of a KV key's 512 bytes.
const WITH_PARAMETERS_GREATEST_LENGTH: usize = 512 - TENANT_GREATEST_LENGTH - 1;

pub(super) fn routes(raw: &RawRules, classes: &[KnownClass], roles: &[Role], faults: &mut Faults) -> Vec<Route> {
    let mut known: Vec<Route> = Vec::new();
    for route in &raw.route {
        let (name, at) = (route.name.get_ref(), route.name.span().start);
        let rule = format!("route `{name}`");
        judge_name(name, at, &rule, faults);
        if known.iter().any(|other| other.name == *name) {
            faults.add(at, &rule, "this name is taken by a route above");
        }
        let path = path(route, &raw.origin_prefixes, &rule, faults);
        if let Some(other) = known.iter().find(|other| overlap(&other.path, &path)) {
            faults.add(
                route.path.span().start,
                &rule,
                format!("its path overlaps that of route `{}`: a request must have one rule", other.name),
            );
        }
        if let Some(policy) = &route.policy {
            faults.add(policy.span().start, &rule, "a route's policy is that of its class: say policy there");
        }
        let Some(class_name) = &route.class else {
            faults.add(at, &rule, "it has no class: name one of [[class]]");
            continue;
        };
        let Some(class) = classes.iter().find(|class| class.class.name == *class_name.get_ref()) else {
            faults.add(class_name.span().start, &rule, format!("class `{}` is not defined", class_name.get_ref()));
            continue;
        };
        let disposition = match &class.class.policy {
            Policy::Live => forwarded(route, Disposition::Live, &rule, faults),
            Policy::Bypass => forwarded(route, Disposition::Bypass, &rule, faults),
            Policy::Store(lifetimes) => {
                let stored = stored(route, *lifetimes, class, raw, &path, &rule, faults);
                let taken = known
                    .iter()
                    .find(|other| matches!(&other.disposition, Disposition::Store(other) if other.key == stored.key));
                if let (Some(other), Some(key)) = (taken, &route.key) {
                    faults.add(
                        key.span().start,
                        &rule,
                        format!(
                            "key `{}` is that of route `{}`: two routes with one key would answer for each other",
                            key.get_ref(),
                            other.name
                        ),
                    );
                }
                if path.last() == Some(&Segment::Rest) {
                    faults.add(
                        route.path.span().start,
                        &rule,
                        "`*` on a route whose class decides: its answers need a key of their own each",
                    );
                }
                Disposition::Store(stored)
            }
            Policy::Origin(lifetimes) => {
                unsaid(route, "whose class lets the origin decide", &rule, faults);
                judge_tags(&route.tags, &rule, faults);
                Disposition::Store(Stored {
                    key: Text::Owned(name.clone()),
                    hot: false,
                    lifetimes: *lifetimes,
                    tags: texts(&route.tags),
                    limits: class.limits,
                    decided_by: DecidedBy::Origin,
                })
            }
        };
        let (auth, roles) = admitted(route, &disposition, roles, &rule, faults);
        known.push(Route {
            name: Text::Owned(name.clone()),
            path: List::Owned(path),
            class: Text::Owned(class_name.get_ref().clone()),
            disposition,
            invalidates: None,
            auth,
            roles,
        });
    }
    known
}

fn path(route: &RawRoute, prefixes: &[Spanned<String>], rule: &str, faults: &mut Faults) -> Vec<Segment> {
    let (text, at) = (route.path.get_ref(), route.path.span().start);
    if RESERVED_PATHS.iter().any(|own| text == own || text.starts_with(&format!("{own}/"))) {
        faults.add(at, rule, format!("path `{text}` belongs to the edge itself"));
    } else if !prefixes.iter().any(|prefix| text.starts_with(prefix.get_ref().as_str())) {
        faults.add(at, rule, format!("path `{text}` is under none of origin_prefixes, so no request would reach it"));
    }
    let mut segments = Vec::new();
    let mut asked = text.trim_start_matches('/').split('/').peekable();
    while let Some(segment) = asked.next() {
        if segment == "*" && asked.peek().is_none() {
            segments.push(Segment::Rest);
            break;
        }
        match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, suffix)) if is_word(name) && (suffix.is_empty() || is_word(suffix)) => {
                segments.push(Segment::Parameter { name: Text::Owned(name.to_string()), suffix: Text::Owned(suffix.to_string()) });
            }
            None if is_word(segment) => segments.push(Segment::Literal(Text::Owned(segment.to_string()))),
            _ => faults.add(at, rule, format!("segment `{segment}` of path `{text}` is neither plain text (letters, digits, `-._~`) nor `{{name}}` with an optional ending nor, at the end, `*`")),
        }
    }
    segments
}

/// A media type as it is compared: in lower case, without parameters.
fn content_type(route: &RawRoute, rule: &str, faults: &mut Faults) -> String {
    let Some(text) = &route.content_type else { return "application/json".to_string() };
    let token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'+');
        !part.is_empty() && part.bytes().all(plain)
    };
    if !text.get_ref().split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype)) {
        faults.add(
            text.span().start,
            rule,
            format!(
                "content_type `{}` is not a media type in lower case without parameters, such as `application/json`",
                text.get_ref()
            ),
        );
    }
    text.get_ref().clone()
}

/// The greatest length of a key with its parameters, each as `?name=value`.
fn greatest_length(key: &str, path: &[Segment], query: &[Parameter]) -> usize {
    let in_path = path.iter().map(|segment| match segment {
        Segment::Literal(_) | Segment::Rest => 0,
        Segment::Parameter { name, .. } => 2 + name.len() + VALUE_GREATEST_LENGTH,
    });
    let in_query = query.iter().map(|parameter| 2 + parameter.name.len() + parameter.accepts.greatest_length());
    key.len() + in_path.chain(in_query).sum::<usize>()
}

/// Whether some path could match both.
fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    match (a, b) {
        ([], []) | ([Segment::Rest], [_, ..]) | ([_, ..], [Segment::Rest]) => true,
        ([first, a @ ..], [other, b @ ..]) => meet(first, other) && overlap(a, b),
        ([], _) | (_, []) => false,
    }
}

/// Whether some segment could match both.
fn meet(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Rest, _) | (_, Segment::Rest) => true,
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Literal(text), Segment::Parameter { suffix, .. })
        | (Segment::Parameter { suffix, .. }, Segment::Literal(text)) => {
            text.len() > suffix.len() && text.ends_with(suffix.as_ref())
        }
        (Segment::Parameter { suffix: a, .. }, Segment::Parameter { suffix: b, .. }) => {
            a.ends_with(b.as_ref()) || b.ends_with(a.as_ref())
        }
    }
}

/// A route that is never stored has nothing of a stored one.
fn forwarded(route: &RawRoute, disposition: Disposition, rule: &str, faults: &mut Faults) -> Disposition {
    unsaid(route, "whose class is never stored", rule, faults);
    if let Some(tag) = route.tags.first() {
        faults.add(tag.span().start, rule, "`tags` on a route whose class is never stored: leave it out");
    }
    disposition
}

/// What says how a class keeps answers has no place on a route of another kind.
fn unsaid(route: &RawRoute, kind: &str, rule: &str, faults: &mut Faults) {
    let spans = [
        ("key", route.key.as_ref().map(Spanned::span)),
        ("hot", route.hot.as_ref().map(Spanned::span)),
        ("personal", route.personal.as_ref().map(Spanned::span)),
        ("s_maxage", route.s_maxage.as_ref().map(Spanned::span)),
        ("query", route.query.keys().next().map(Spanned::span)),
        ("content_type", route.content_type.as_ref().map(Spanned::span)),
        ("envelope", route.envelope.as_ref().map(Spanned::span)),
        ("volatile", route.volatile.first().map(Spanned::span)),
    ];
    for (word, span) in spans {
        if let Some(span) = span {
            faults.add(span.start, rule, format!("`{word}` on a route {kind}: leave it out"));
        }
    }
}

fn stored(
    route: &RawRoute,
    of_class: Lifetimes,
    class: &KnownClass,
    raw: &RawRules,
    path: &[Segment],
    rule: &str,
    faults: &mut Faults,
) -> Stored {
    let at = route.name.span().start;
    match &route.key {
        Some(key) => judge_key(key, rule, faults),
        None => faults.add(at, rule, "a stored route needs a key, such as `dashboard:tile:ops:v1`"),
    }
    let key = route.key.as_ref().map(|key| key.get_ref().clone()).unwrap_or_default();
    let mut lifetimes = of_class;
    if let Some(own) = &route.s_maxage {
        lifetimes.s_maxage = *own.get_ref();
        lifetimes.max_age = of_class.max_age.min(*own.get_ref());
        over_ceiling(&lifetimes, class.ceiling, own.span().start, rule, faults);
    }
    let hot = route.hot.as_ref().is_some_and(|hot| *hot.get_ref());
    if hot && lifetimes.keep() < KV_LEAST_LIFE {
        faults.add(at, rule, format!("a hot route lives in KV, which keeps nothing for less than {KV_LEAST_LIFE} s: its lifetime with its stale windows is {} s", lifetimes.keep()));
    }
    let envelope = route.envelope.as_ref().and_then(|name| {
        let found = raw.envelope.get(name.get_ref());
        if found.is_none() {
            faults.add(name.span().start, rule, format!("envelope `{}` is not defined", name.get_ref()));
        }
        found
    });
    let volatile = envelope.map_or(&[][..], |envelope| &envelope.volatile).iter().chain(&route.volatile);
    for path in volatile.clone() {
        let parts = path.get_ref().split('.');
        if !parts
            .map(|part| part.strip_suffix("[]").unwrap_or(part))
            .all(|part| !part.is_empty() && !part.contains(['[', ']', ' ']))
        {
            faults.add(
                path.span().start,
                rule,
                format!("volatile `{}` is not a dotted path such as `data.rows[].generated_at`", path.get_ref()),
            );
        }
    }
    let content_type = content_type(route, rule, faults);
    if !is_json(&content_type) && (envelope.is_some() || !route.volatile.is_empty()) {
        faults.add(
            at,
            rule,
            format!("`envelope` and `volatile` are about JSON, and its content_type is `{content_type}`"),
        );
    }
    judge_tags(&route.tags, rule, faults);
    let query = query(route, path, &raw.dropped_parameters, rule, faults);
    let in_role = if route.roles.is_empty() { 0 } else { ";role=".len() + NAME_GREATEST_LENGTH };
    let length = greatest_length(&key, path, &query) + in_role;
    if length > WITH_PARAMETERS_GREATEST_LENGTH {
        faults.add(at, rule, format!("its key with its parameters can have {length} bytes; {WITH_PARAMETERS_GREATEST_LENGTH} is the most that KV leaves it"));
    }
    Stored {
        key: Text::Owned(key),
        hot,
        lifetimes,
        tags: texts(&route.tags),
        limits: class.limits,
        decided_by: DecidedBy::Class(Shape {
            personal: route.personal.as_ref().is_some_and(|personal| *personal.get_ref()),
            query: List::Owned(query),
            content_type: Text::Owned(content_type),
            require: envelope.map(requirement),
            volatile: List::Owned(volatile.map(|path| Text::Owned(path.get_ref().clone())).collect()),
            response_fields: class.response_fields.clone(),
        }),
    }
}

fn requirement(envelope: &RawEnvelope) -> Requirement {
    let equals = match &envelope.require.equals {
        RawScalar::Bool(value) => Scalar::Bool(*value),
        RawScalar::Text(text) => Scalar::Text(Text::Owned(text.clone())),
    };
    Requirement { member: Text::Owned(envelope.require.member.clone()), equals }
}

fn judge_key(key: &Spanned<String>, rule: &str, faults: &mut Faults) {
    let text = key.get_ref();
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b':' | b'_' | b'.' | b'-'));
    let version = text
        .rsplit(':')
        .next()
        .and_then(|last| last.strip_prefix('v'))
        .is_some_and(|number| number.parse::<u32>().is_ok());
    if !plain || !version || text.starts_with(':') || text.contains("::") || text.len() > KEY_GREATEST_LENGTH {
        faults.add(
            key.span().start,
            rule,
            format!(
                "key `{text}` must be at most {KEY_GREATEST_LENGTH} of `a-z0-9:_.-` and end in a version such as `:v1`"
            ),
        );
    }
}
