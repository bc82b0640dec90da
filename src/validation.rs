//! Validators, in both directions: what a client's conditions say of an answer (RFC 9110, section 13), and what the
//! origin's 304 says of a stored one (RFC 9111, section 4.3); and the weak ETag of a class's answer.
//!
//! The origin's bodies are never the same twice, since they carry the time at which they were made. The ETag is
//! therefore made from the figures: canonical JSON (members in order) without the members that the rule calls
//! volatile. Equal figures, equal tag.

use crate::date;
use crate::names::field;
use crate::time::UnixMillis;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The weak ETag of a JSON body. `volatile` are dotted paths, with `[]` behind a member whose items are meant.
///
/// Takes the value apart, since it is big and not needed any more.
#[must_use]
pub fn json_etag<S: AsRef<str>>(mut body: Value, volatile: &[S]) -> String {
    for path in volatile {
        remove(&mut body, path.as_ref());
    }
    one_form(&mut body);
    // Members of a serde_json map without `preserve_order` are in the order of their names.
    bytes_etag(&serde_json::to_vec(&body).unwrap_or_default())
}

/// The weak ETag of a body that is not JSON: of its bytes.
#[must_use]
pub fn bytes_etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("W/\"{}\"", hex(digest.get(..16).unwrap_or_default()))
}

/// SHA-256 of the body as it is stored, in hexadecimal.
#[must_use]
pub fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// Whole numbers without a fraction, however they were written: 1, 1.0 and 1e0 are one figure.
fn one_form(value: &mut Value) {
    /// Up to this, a number of this kind and a whole one are the same (RFC 8259, section 6).
    const EXACT_AT_MOST: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|number| number.abs() <= EXACT_AT_MOST);
            #[expect(clippy::cast_possible_truncation, reason = "it is within what is exact")]
            let whole = whole.map(|number| (number, number as i64));
            #[expect(clippy::cast_precision_loss, reason = "it is within what is exact")]
            let whole = whole.filter(|(number, whole)| (*whole as f64 - number).abs() == 0.0);
            if let Some((_, whole)) = whole {
                *value = Value::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(one_form),
        Value::Object(members) => members.values_mut().for_each(one_form),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn remove(value: &mut Value, path: &str) {
    let (member, rest) = path.split_once('.').map_or((path, None), |(member, rest)| (member, Some(rest)));
    let Value::Object(members) = value else { return };
    match (member.strip_suffix("[]"), rest) {
        (None, None) => _ = members.remove(member),
        (None, Some(rest)) => {
            if let Some(inner) = members.get_mut(member) {
                remove(inner, rest);
            }
        }
        (Some(member), rest) => {
            if let Some(Value::Array(items)) = members.get_mut(member) {
                match rest {
                    Some(rest) => items.iter_mut().for_each(|item| remove(item, rest)),
                    None => items.clear(),
                }
            }
        }
    }
}

/// Whether If-None-Match names this representation: the client has it, and gets a 304.
///
/// Weak comparison (RFC 9110, section 8.8.3.2): `W/` does not matter. `*` names any (section 13.1.2).
#[must_use]
pub fn none_match_names(if_none_match: &str, etag: &str) -> bool {
    let mut quoted = false;
    // A backslash escapes nothing in an entity tag (section 8.8.3), so this is not a list of quoted strings.
    let mut tags = if_none_match.split(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    if_none_match.trim() == "*" || opaque(etag).is_some_and(|etag| tags.any(|tag| opaque(tag) == Some(etag)))
}

/// An entity tag without its weakness, if it is one.
fn opaque(tag: &str) -> Option<&str> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?.strip_suffix('"').filter(|inner| !inner.contains('"'))
}

/// A client's conditions that a cache judges (RFC 9111, section 4.3.2). If-Match and If-Unmodified-Since are for the
/// origin alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// If-None-Match.
    pub if_none_match: Option<String>,
    /// If-Modified-Since.
    pub if_modified_since: Option<String>,
}

impl Conditions {
    /// Whether the client has this representation, and gets a 304. `modified_at` is its Last-Modified; without one, its
    /// Date or when it was received (section 4.3.2).
    #[must_use]
    pub fn are_met_by(&self, etag: Option<&str>, modified_at: UnixMillis, now: UnixMillis) -> bool {
        // RFC 9110, section 13.1.3: "A recipient MUST ignore If-Modified-Since if the request contains an
        // If-None-Match header field", and if it is not a date.
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => none_match_names(tags, etag.unwrap_or_default()),
            (None, Some(since)) => date::parse(since, now).is_some_and(|since| modified_at <= since),
            (None, None) => false,
        }
    }
}

/// By what the origin knows a representation again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Validators {
    /// Its entity tag.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its Last-Modified.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// Whether there is none.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Whether a 304 with these validators is about the stored response that has ours (RFC 9111, section 4.3.4).
    #[must_use]
    pub fn are_selected_by(&self, answered: &Self) -> bool {
        match (&answered.etag, &self.etag) {
            // A strong one must be the same, strongly compared; a weak one weakly.
            (Some(theirs), Some(ours)) if theirs.starts_with("W/") => opaque(theirs) == opaque(ours),
            (Some(theirs), ours) => Some(theirs) == ours.as_ref(),
            // Without a tag, Last-Modified says it; and without either, there was only one that could be meant.
            (None, _) => answered.last_modified.is_none() || answered.last_modified == self.last_modified,
        }
    }
}

/// Takes over the header fields of a 304 (RFC 9111, section 3.2): each replaces those of its name, but for what tells
/// of the body as it is stored.
pub fn freshen(stored: &mut Vec<(String, String)>, answered: Vec<(String, String)>) {
    let kept = |name: &str| [field::CONTENT_LENGTH, field::CONTENT_ENCODING, field::CONTENT_RANGE].contains(&name);
    stored.retain(|(name, _)| kept(name) || !answered.iter().any(|(other, _)| other == name));
    stored.extend(answered.into_iter().filter(|(name, _)| !kept(name)));
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Validators, freshen, json_etag, none_match_names};
    use crate::time::UnixMillis;
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;
    use serde_json::json;

    #[test]
    fn equal_figures_have_equal_tags() {
        let a = json!({"status": "ok", "fact": {"id": 1}, "data": {"total": 1.5, "rows": [{"n": 1, "at": "x"}], "at": "x"}});
        let b = json!({"data": {"at": "y", "rows": [{"at": "y", "n": 1}], "total": 1.50}, "fact": {"id": 2}, "status": "ok"});
        let c = json!({"data": {"at": "y", "rows": [{"at": "y", "n": 2}], "total": 1.50}, "fact": {"id": 2}, "status": "ok"});
        let tag = |value| json_etag(value, &["fact", "data.at", "data.rows[].at", "nothing.here", "data.total.x"]);
        assert_eq!(tag(a.clone()), tag(b));
        assert_ne!(tag(a), tag(c));
    }

    #[test]
    fn a_figure_has_one_form() {
        let tag = |text: &str| json_etag(serde_json::from_str(text).unwrap(), &[""; 0]);
        for (one, other) in
            [("[1, 1.5, -0.0, 100]", "[1.0, 15e-1, 0, 1e2]"), ("{\"a\": 1000000000000}", "{\"a\": 1000000000000.0}")]
        {
            assert_eq!(tag(one), tag(other), "{one}");
        }
        for (one, other) in [("[1]", "[1.1]"), ("[1]", "[-1]"), ("[1]", "[\"1\"]"), ("[1e300]", "[1e301]")] {
            assert_ne!(tag(one), tag(other), "{one}");
        }
    }

    #[test]
    fn all_items_of_a_list_can_be_volatile() {
        let tag = |value| json_etag(value, &["rows[]"]);
        assert_eq!(tag(json!({"rows": [1]})), tag(json!({"rows": [2, 3]})));
    }

    #[track_caller]
    fn check(if_none_match: &str, names: bool) {
        assert_eq!(none_match_names(if_none_match, "W/\"a\""), names, "{if_none_match}");
    }

    #[test]
    fn if_none_match_is_compared_weakly() {
        for field in ["W/\"a\"", "\"a\"", "\"x\", W/\"a\"", "\"x\",\"a\"", " * "] {
            check(field, true);
        }
        for field in ["", "a", "W/a", "\"b\"", "w/\"a\"", "\"A\"", "\"", "\"a", "*, \"x\""] {
            check(field, false);
        }
    }

    #[test]
    fn a_tag_may_hold_commas_and_backslashes() {
        for (field, etag) in [("\"a,b\"", "\"a,b\""), ("\"x\", \"a\\\", \"y\"", "\"a\\\""), ("W/\"\"", "\"\"")] {
            assert!(none_match_names(field, etag), "{field}");
        }
        for (field, etag) in [("\"a,b\"", "\"a\""), ("\"a\"", ""), ("", ""), ("a", "a"), ("\"a\"b\"", "\"a\"b\"")] {
            assert!(!none_match_names(field, etag), "{field}");
        }
    }

    /// Of something modified at 08:49:37.
    #[track_caller]
    fn check_conditions(if_none_match: Option<&str>, if_modified_since: Option<&str>, are_met: bool) {
        let conditions = Conditions {
            if_none_match: if_none_match.map(String::from),
            if_modified_since: if_modified_since.map(String::from),
        };
        let modified_at = UnixMillis(784_111_777_000);
        assert_eq!(conditions.are_met_by(Some("\"a\""), modified_at, UnixMillis(0)), are_met, "{conditions:?}");
    }

    #[test]
    fn a_tag_comes_before_a_date() {
        check_conditions(None, None, false);
        check_conditions(Some("\"a\""), None, true);
        check_conditions(Some("\"b\""), Some("Sun, 06 Nov 1994 08:49:37 GMT"), false);
        check_conditions(Some("\"a\""), Some("Sun, 06 Nov 1994 08:49:36 GMT"), true);
        check_conditions(None, Some("Sun, 06 Nov 1994 08:49:37 GMT"), true);
        check_conditions(None, Some("Sunday, 06-Nov-94 08:49:38 GMT"), true);
        check_conditions(None, Some("Sun, 06 Nov 1994 08:49:36 GMT"), false);
        check_conditions(None, Some("tomorrow"), false);
    }

    fn validators(etag: &str, last_modified: &str) -> Validators {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
        Validators { etag: some(etag), last_modified: some(last_modified) }
    }

    #[track_caller]
    fn check_selected(ours: (&str, &str), theirs: (&str, &str), are_selected: bool) {
        let (ours, theirs) = (validators(ours.0, ours.1), validators(theirs.0, theirs.1));
        assert_eq!(ours.are_selected_by(&theirs), are_selected, "{ours:?} {theirs:?}");
    }

    #[test]
    fn a_304_is_about_what_has_its_validators() {
        check_selected(("\"a\"", "x"), ("", ""), true);
        check_selected(("\"a\"", ""), ("\"a\"", ""), true);
        check_selected(("\"a\"", ""), ("\"b\"", ""), false);
        check_selected(("W/\"a\"", ""), ("\"a\"", ""), false);
        check_selected(("W/\"a\"", ""), ("W/\"a\"", ""), true);
        check_selected(("\"a\"", ""), ("W/\"a\"", ""), true);
        check_selected(("W/\"a\"", ""), ("W/\"b\"", ""), false);
        check_selected(("", "x"), ("\"a\"", "x"), false);
        check_selected(("", "x"), ("W/\"a\"", "x"), false);
        check_selected(("\"a\"", "x"), ("", "x"), true);
        check_selected(("", "x"), ("", "y"), false);
    }

    #[test]
    fn a_304_replaces_fields_but_not_those_of_the_body() {
        let fields = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
            fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
        };
        let mut stored =
            fields(&[("a", "1"), ("b", "1"), ("content-length", "3"), ("a", "2"), ("content-encoding", "br")]);
        freshen(
            &mut stored,
            fields(&[("a", "3"), ("content-length", "0"), ("c", "1"), ("c", "2"), ("content-range", "x")]),
        );
        let expected =
            [("b", "1"), ("content-length", "3"), ("content-encoding", "br"), ("a", "3"), ("c", "1"), ("c", "2")];
        assert_eq!(stored, fields(&expected));
    }
}
