//! The body of an answer: whether it may be stored, and its entity tag.

use std::fmt::Write as _;

use hotrod_edge::rules::{Requirement, Scalar, Shape};
use hotrod_edge::storing::{Refusal, Storing, may_store_body};
use serde_json::Value;

use crate::storable;

pub(crate) fn check(input: &[u8]) {
    let read: Option<Value> = serde_json::from_slice(input).ok();
    for (_, rule) in storable() {
        let expected = match &read {
            None => Err(Refusal::Malformed),
            Some(value) if rule.require.as_ref().is_some_and(|require| !meets(value, require)) => {
                Err(Refusal::Envelope)
            }
            Some(value) => Ok(value),
        };
        match (may_store_body(rule, input), expected) {
            (Storing::Store(tag), Ok(value)) => check_tag(rule, &tag, value),
            (Storing::Refuse(refusal), Err(expected)) => assert_eq!(refusal, expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

fn meets(body: &Value, require: &Requirement) -> bool {
    let expected = match &require.equals {
        Scalar::Bool(value) => Value::Bool(*value),
        Scalar::Text(text) => Value::String(text.to_string()),
    };
    body.as_object().and_then(|members| members.get(require.member.as_ref())) == Some(&expected)
}

fn check_tag(rule: &Shape, tag: &str, value: &Value) {
    let opaque = tag.strip_prefix("W/\"").and_then(|tag| tag.strip_suffix('"')).expect("a weak tag");
    assert!(opaque.len() == 32 && opaque.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
    let of = |body: &str| match may_store_body(rule, body.as_bytes()) {
        Storing::Store(tag) => tag,
        Storing::Refuse(refusal) => panic!("{body}: {refusal:?}"),
    };
    // Neither the order of members nor white space is a figure.
    let printed = print(value, false);
    assert_eq!(of(&printed), of(&print(value, true)), "{printed}");
    // What is printed may stand for another fraction in its last digit, so those are left out.
    if !has_fraction(value) {
        assert_eq!(of(&printed), tag, "{printed}");
    }
    if let (Value::Object(members), Some(volatile)) = (value, rule.volatile.first()) {
        let mut members = members.clone();
        members.remove(volatile.as_ref());
        let without = of(&print(&Value::Object(members.clone()), false));
        members.insert(volatile.to_string(), Value::from("at another time"));
        assert_eq!(of(&print(&Value::Object(members), false)), without);
        assert_eq!(of(&printed), without);
    }
}

/// JSON text with members forwards, or backwards and with white space.
fn print(value: &Value, backwards: bool) -> String {
    let mut text = String::new();
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(&print(item, backwards));
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if backwards {
                members.reverse();
            }
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(if backwards { "\n " } else { "" });
                write!(text, "{}:{}", Value::from(name.as_str()), print(value, backwards)).expect("a String grows");
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text = value.to_string(),
    }
    text
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
