//! Judges the raw rules: what is unsafe or says nothing is refused, the rest becomes the table.
//!
//! Shared with `build.rs`. Each refusal is a sentence that says what would be right.

use super::parse::{Fault, RawClass, RawEnvelope, RawEvent, RawParameter, RawRoute, RawRules, RawScalar};
use super::table::{
    Accepts, Calendar, Class, Disposition, Event, KV_LEAST_LIFE, Lifetimes, List, Parameter, Policy, Requirement,
    Route, Rules, Scalar, Seconds, Segment, Stored, Text, WithoutLedger, is_word,
};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use toml::Spanned;

/// Query parameters that the edge itself understands, so that no rule can have them.
const RESERVED_PARAMETERS: [&str; 1] = ["nocache"];
/// Paths that belong to the edge itself.
const RESERVED_PATHS: [&str; 2] = ["/cache", "/healthz"];
/// What a tenant's name and the parameters leave of a KV key's 512 bytes.
const KEY_GREATEST_LENGTH: usize = 128;

/// Collects faults, so that a file with three errors is mended in one turn.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, at: usize, rule: &str, sentence: impl Into<String>) {
        self.0.push(Fault { at, rule: rule.to_string(), sentence: sentence.into() });
    }
}

pub(super) fn validate(raw: &RawRules) -> Result<Rules, Vec<Fault>> {
    let mut faults = Faults::default();
    for prefix in &raw.origin_prefixes {
        if !prefix.get_ref().starts_with('/') || !prefix.get_ref().ends_with('/') {
            faults.add(
                prefix.span().start,
                "origin_prefixes",
                format!("`{}` must begin and end with a slash", prefix.get_ref()),
            );
        }
    }
    for name in &raw.dropped_parameters {
        if RESERVED_PARAMETERS.contains(&name.get_ref().as_str()) {
            faults.add(
                name.span().start,
                "dropped_parameters",
                format!("`{}` is the edge's own parameter", name.get_ref()),
            );
        }
    }
    let classes = classes(&raw.class, &mut faults);
    let routes = routes(raw, &classes, &mut faults);
    let events = events(&raw.event, &classes, &routes, &mut faults);
    hot_routes_are_invalidated(&raw.route, &routes, &events, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(Rules {
        origin_prefixes: texts(&raw.origin_prefixes),
        dropped_parameters: texts(&raw.dropped_parameters),
        classes: List::Owned(classes.into_iter().map(|known| known.class).collect()),
        routes: List::Owned(routes),
        events: List::Owned(events),
    })
}

fn texts(spanned: &[Spanned<String>]) -> List<Text> {
    List::Owned(spanned.iter().map(|text| Text::Owned(text.get_ref().clone())).collect())
}

/// A class, with what only the judging of its routes needs.
struct KnownClass {
    class: Class,
    ceiling: Option<Seconds>,
}

fn classes(raw: &[RawClass], faults: &mut Faults) -> Vec<KnownClass> {
    let mut known: Vec<KnownClass> = Vec::new();
    for class in raw {
        let (name, at) = (class.name.get_ref(), class.name.span().start);
        let rule = format!("class `{name}`");
        if known.iter().any(|other| other.class.name == *name) {
            faults.add(at, &rule, "this name is taken by a class above");
        }
        let policy = match class.policy.as_ref().map_or("store", |policy| policy.get_ref().as_str()) {
            "live" => never_stored(class, Policy::Live, &rule, faults),
            "bypass" => never_stored(class, Policy::Bypass, &rule, faults),
            "store" => Policy::Store(lifetimes(class, &rule, faults)),
            other => {
                let at = class.policy.as_ref().map_or(at, |policy| policy.span().start);
                faults.add(at, &rule, format!("policy `{other}` is not known: say `store`, `live` or `bypass`"));
                Policy::Bypass
            }
        };
        known.push(KnownClass {
            class: Class { name: Text::Owned(name.clone()), policy },
            ceiling: class.ceiling.as_ref().map(|ceiling| *ceiling.get_ref()),
        });
    }
    known
}

/// A class that is never stored has no lifetime and no stale window.
fn never_stored(class: &RawClass, policy: Policy, rule: &str, faults: &mut Faults) -> Policy {
    let numbers = [
        ("s_maxage", &class.s_maxage),
        ("max_age", &class.max_age),
        ("stale_while_revalidate", &class.stale_while_revalidate),
        ("stale_if_error", &class.stale_if_error),
        ("soft_window", &class.soft_window),
        ("ceiling", &class.ceiling),
    ];
    for (word, value) in numbers {
        if let Some(value) = value {
            faults.add(
                value.span().start,
                rule,
                format!("`{word}` on a class that is never stored: leave it out, or say policy = \"store\""),
            );
        }
    }
    policy
}

fn lifetimes(class: &RawClass, rule: &str, faults: &mut Faults) -> Lifetimes {
    let at = class.name.span().start;
    let seconds = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| *value.get_ref());
    let s_maxage = seconds(&class.s_maxage).unwrap_or_else(|| {
        faults.add(at, rule, "a stored class needs `s_maxage`, its freshness lifetime at the edge in seconds");
        0
    });
    let max_age = seconds(&class.max_age).unwrap_or(0);
    if max_age > s_maxage {
        faults.add(
            at,
            rule,
            format!("max_age = {max_age} is over s_maxage = {s_maxage}: the browser would outlive the edge"),
        );
    }
    let calendar = match class.calendar.as_ref().map(|word| (word.get_ref().as_str(), word.span().start)) {
        None => Calendar::None,
        Some(("day", _)) => Calendar::Day,
        Some((other, at)) => {
            faults.add(
                at,
                rule,
                format!("calendar `{other}` is not known: say `day`, which includes the first of each month"),
            );
            Calendar::None
        }
    };
    let without_ledger = match class.without_ledger.as_ref().map(|word| (word.get_ref().as_str(), word.span().start)) {
        None | Some(("forward", _)) => WithoutLedger::Forward,
        Some(("serve", _)) => WithoutLedger::Serve,
        Some((other, at)) => {
            faults.add(at, rule, format!("without_ledger `{other}` is not known: say `forward` or `serve`"));
            WithoutLedger::Forward
        }
    };
    let lifetimes = Lifetimes {
        s_maxage,
        max_age,
        stale_while_revalidate: seconds(&class.stale_while_revalidate).unwrap_or(0),
        stale_if_error: seconds(&class.stale_if_error).unwrap_or(0),
        soft_window: seconds(&class.soft_window).unwrap_or(0),
        calendar,
        without_ledger,
    };
    over_ceiling(&lifetimes, seconds(&class.ceiling), at, rule, faults);
    lifetimes
}

/// The ceiling bounds the age that a figure may reach while the origin is well.
fn over_ceiling(lifetimes: &Lifetimes, ceiling: Option<Seconds>, at: usize, rule: &str, faults: &mut Faults) {
    let reach = lifetimes.s_maxage.saturating_add(lifetimes.stale_while_revalidate);
    if let Some(ceiling) = ceiling.filter(|ceiling| reach > *ceiling) {
        faults.add(
            at,
            rule,
            format!(
                "s_maxage = {} and stale_while_revalidate = {} together are over the class's ceiling of {ceiling} s",
                lifetimes.s_maxage, lifetimes.stale_while_revalidate
            ),
        );
    }
}

fn routes(raw: &RawRules, classes: &[KnownClass], faults: &mut Faults) -> Vec<Route> {
    let mut known: Vec<Route> = Vec::new();
    for route in &raw.route {
        let (name, at) = (route.name.get_ref(), route.name.span().start);
        let rule = format!("route `{name}`");
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
                let stored = stored(route, *lifetimes, class.ceiling, raw, &path, &rule, faults);
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
                Disposition::Store(stored)
            }
        };
        known.push(Route {
            name: Text::Owned(name.clone()),
            path: List::Owned(path),
            class: Text::Owned(class_name.get_ref().clone()),
            disposition,
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
    for segment in text.trim_start_matches('/').split('/') {
        match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, suffix)) if is_word(name) && (suffix.is_empty() || is_word(suffix)) => {
                segments.push(Segment::Parameter { name: Text::Owned(name.to_string()), suffix: Text::Owned(suffix.to_string()) });
            }
            None if is_word(segment) => segments.push(Segment::Literal(Text::Owned(segment.to_string()))),
            _ => faults.add(at, rule, format!("segment `{segment}` of path `{text}` is neither plain text (letters, digits, `-._~`) nor `{{name}}` with an optional ending")),
        }
    }
    segments
}

/// Whether some path could match both.
fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Literal(text), Segment::Parameter { suffix, .. })
            | (Segment::Parameter { suffix, .. }, Segment::Literal(text)) => {
                text.len() > suffix.len() && text.ends_with(suffix.as_ref())
            }
            (Segment::Parameter { suffix: a, .. }, Segment::Parameter { suffix: b, .. }) => {
                a.ends_with(b.as_ref()) || b.ends_with(a.as_ref())
            }
        })
}

/// A route that is never stored has nothing of a stored one.
fn forwarded(route: &RawRoute, disposition: Disposition, rule: &str, faults: &mut Faults) -> Disposition {
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
            faults.add(span.start, rule, format!("`{word}` on a route whose class is never stored: leave it out"));
        }
    }
    disposition
}

fn stored(
    route: &RawRoute,
    class: Lifetimes,
    ceiling: Option<Seconds>,
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
    let mut lifetimes = class;
    if let Some(own) = &route.s_maxage {
        lifetimes.s_maxage = *own.get_ref();
        lifetimes.max_age = class.max_age.min(*own.get_ref());
        over_ceiling(&lifetimes, ceiling, own.span().start, rule, faults);
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
    Stored {
        key: Text::Owned(key),
        hot,
        personal: route.personal.as_ref().is_some_and(|personal| *personal.get_ref()),
        query: List::Owned(query(route, path, &raw.dropped_parameters, rule, faults)),
        lifetimes,
        content_type: Text::Owned(
            route.content_type.as_ref().map_or_else(|| "application/json".to_string(), |text| text.get_ref().clone()),
        ),
        require: envelope.map(requirement),
        volatile: List::Owned(volatile.map(|path| Text::Owned(path.get_ref().clone())).collect()),
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

fn query(
    route: &RawRoute,
    path: &[Segment],
    dropped: &[Spanned<String>],
    rule: &str,
    faults: &mut Faults,
) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (name, raw) in &route.query {
        let at = name.span().start;
        let name = name.get_ref();
        let in_path =
            path.iter().any(|segment| matches!(segment, Segment::Parameter { name: other, .. } if other == name));
        if !is_word(name) {
            faults.add(at, rule, format!("query parameter `{name}` is not plain text (letters, digits, `-._~`)"));
        }
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            faults.add(at, rule, format!("query parameter `{name}` is the edge's own"));
        }
        if dropped.iter().any(|other| other.get_ref() == name) {
            faults.add(at, rule, format!("query parameter `{name}` is nominated here and dropped in dropped_parameters: it can be one or the other"));
        }
        if in_path {
            faults.add(at, rule, format!("parameter `{name}` is in the path already"));
        }
        let Some(accepts) = accepts(raw) else {
            faults.add(at, rule, format!("query parameter `{name}` is neither nominated nor dropped: give it one of `values`, `integer = [min, max]`, `max_length`, or list it in dropped_parameters"));
            continue;
        };
        let words = match &accepts {
            Accepts::OneOf(values) => values.iter().all(|value| is_word(value)),
            Accepts::Integer { .. } | Accepts::Word { .. } => true,
        };
        if !words {
            faults.add(
                at,
                rule,
                format!(
                    "query parameter `{name}` has a value that would need encoding: only letters, digits and `-._~`"
                ),
            );
        }
        if let Some(default) = raw.default.as_ref().filter(|default| !accepts.allows(default)) {
            faults.add(
                at,
                rule,
                format!("default `{default}` of query parameter `{name}` is not among the values that it accepts"),
            );
        }
        parameters.push(Parameter {
            name: Text::Owned(name.clone()),
            accepts,
            default: raw.default.clone().map(Text::Owned),
        });
    }
    parameters
}

/// What a parameter accepts, if exactly one way of saying so was used.
fn accepts(raw: &RawParameter) -> Option<Accepts> {
    match (&raw.values, raw.integer, raw.max_length) {
        (Some(values), None, None) if !values.is_empty() => {
            Some(Accepts::OneOf(List::Owned(values.iter().cloned().map(Text::Owned).collect())))
        }
        (None, Some([min, max]), None) if min <= max => Some(Accepts::Integer { min, max }),
        (None, None, Some(max_length)) if (1..=64).contains(&max_length) => Some(Accepts::Word { max_length }),
        _ => None,
    }
}

fn events(raw: &[RawEvent], classes: &[KnownClass], routes: &[Route], faults: &mut Faults) -> Vec<Event> {
    let mut known: BTreeMap<String, Event> = BTreeMap::new();
    for event in raw {
        let (name, at) = (event.name.get_ref(), event.name.span().start);
        let rule = format!("event `{name}`");
        if event.routes.is_empty() && event.classes.is_empty() {
            faults.add(at, &rule, "it names no route and no class, so it would do nothing");
        }
        for route in &event.routes {
            match routes.iter().find(|other| other.name == *route.get_ref()).map(|route| &route.disposition) {
                Some(Disposition::Store(_)) => {}
                Some(Disposition::Live | Disposition::Bypass) => {
                    faults.add(
                        route.span().start,
                        &rule,
                        format!("route `{}` is never stored, so there is nothing to invalidate", route.get_ref()),
                    );
                }
                None => faults.add(route.span().start, &rule, format!("route `{}` is not defined", route.get_ref())),
            }
        }
        for class in &event.classes {
            match classes.iter().find(|other| other.class.name == *class.get_ref()).map(|known| &known.class.policy) {
                Some(Policy::Store(_)) => {}
                Some(Policy::Live | Policy::Bypass) => {
                    faults.add(
                        class.span().start,
                        &rule,
                        format!("class `{}` is never stored, so there is nothing to invalidate", class.get_ref()),
                    );
                }
                None => faults.add(class.span().start, &rule, format!("class `{}` is not defined", class.get_ref())),
            }
        }
        let value =
            Event { name: Text::Owned(name.clone()), routes: texts(&event.routes), classes: texts(&event.classes) };
        if known.insert(name.clone(), value).is_some() {
            faults.add(at, &rule, "this name is taken by an event above");
        }
    }
    known.into_values().collect()
}

/// A route that is kept everywhere must be reachable by what changes it.
fn hot_routes_are_invalidated(raw: &[RawRoute], routes: &[Route], events: &[Event], faults: &mut Faults) {
    for route in routes {
        let Disposition::Store(Stored { hot: true, .. }) = &route.disposition else { continue };
        if !events.iter().any(|event| event.routes.contains(&route.name) || event.classes.contains(&route.class)) {
            let at = raw.iter().find(|raw| *raw.name.get_ref() == route.name).map_or(0, |raw| raw.name.span().start);
            faults.add(
                at,
                &format!("route `{}`", route.name),
                "it is hot, and no event invalidates it: name it in an [[event]]",
            );
        }
    }
}
