//! Judges the raw rules: what is unsafe or says nothing is refused, the rest becomes the table.
//!
//! Shared with `build.rs`. Each refusal is a sentence that says what would be right.

mod classes;
mod events;
mod limits;
mod query;
mod roles;
mod routes;
mod touches;

use self::classes::classes;
use self::events::{events, hot_routes_are_invalidated};
use self::roles::roles;
use self::routes::routes;
use self::touches::invalidations;
use super::parse::{Fault, RawRules};
use super::table::{List, NOCACHE, Rules, Text, is_word};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use toml::Spanned;

/// Query parameters that the edge itself understands, so that no rule can have them.
const RESERVED_PARAMETERS: [&str; 1] = [NOCACHE];

/// Collects faults, so that a file with three errors is mended in one turn.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, at: usize, rule: &str, sentence: impl Into<String>) {
        self.0.push(Fault { at, rule: rule.to_string(), sentence: sentence.into() });
    }
}

/// Names are written into keys, purges and metrics as they stand.
fn judge_name(name: &str, at: usize, rule: &str, faults: &mut Faults) {
    if !is_word(name) {
        faults.add(at, rule, "a name has only letters, digits and `-._~`");
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
    let roles = roles(&raw.role, &mut faults);
    let mut routes = routes(raw, &classes, &roles, &mut faults);
    invalidations(&raw.route, &classes, &mut routes, &mut faults);
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
        roles: List::Owned(roles),
    })
}

fn texts(spanned: &[Spanned<String>]) -> List<Text> {
    List::Owned(spanned.iter().map(|text| Text::Owned(text.get_ref().clone())).collect())
}
