//! Query parameters of a route: each nominated in one way, with values that need no encoding.

use super::super::parse::{RawParameter, RawRoute};
use super::super::table::{Accepts, List, Parameter, Segment, Text, VALUE_GREATEST_LENGTH, is_word};
use super::{Faults, RESERVED_PARAMETERS};
use alloc::string::String;
use alloc::vec::Vec;
use toml::Spanned;

pub(super) fn query(
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
        (None, None, Some(max_length))
            if (1..=VALUE_GREATEST_LENGTH).contains(&usize::try_from(max_length).unwrap_or(usize::MAX)) =>
        {
            Some(Accepts::Word { max_length })
        }
        _ => None,
    }
}
