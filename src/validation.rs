//! Validators: the weak ETag of a class's answer, and If-None-Match against it (RFC 9110, sections 8.8.3, 13.1.2).
//!
//! The origin's bodies are never the same twice, since they carry the time at which they were made. The ETag is
//! therefore made from the figures: canonical JSON (members in order) without the members that the rule calls
//! volatile. Equal figures, equal tag.

use alloc::string::String;
use alloc::vec::Vec;
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
    let opaque = |tag: &str| -> Option<Vec<u8>> {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        (tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')).then(|| tag.as_bytes().into())
    };
    // No tag of ours has a comma in it, so a list may be split at each.
    if_none_match.trim() == "*" || if_none_match.split(',').filter_map(opaque).any(|tag| Some(tag) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::{json_etag, none_match_names};
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
}
