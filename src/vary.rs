//! Vary: which of a request's fields select an answer (RFC 9111, section 4.1; RFC 9110, section 12.5.5).

use crate::cache_control::split_list;
use crate::validation::hex;
use alloc::string::String;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// Fields whose values are compared in any case (RFC 9110, sections 12.5.3 and 12.5.4).
const IN_ANY_CASE: [&str; 2] = ["accept-encoding", "accept-language"];

/// The names that a Vary field nominates, all its lines joined by commas: in lower case, in order, each once, separated
/// by commas. Nothing, if it has a member `*` or one that is no name: no other request matches it.
#[must_use]
pub fn nominated(vary: &str) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for member in vary.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
        member.bytes().all(token).then_some(())?;
        let name = member.to_ascii_lowercase();
        if let Err(place) = names.binary_search(&name) {
            names.insert(place, name);
        }
    }
    Some(names.join(","))
}

/// What a request's nominated fields amount to: equal for requests that select one answer. `names` are as
/// [`nominated`] wrote them; `field` answers a field's value, all its lines joined by commas.
#[must_use]
pub fn variance(names: &str, field: impl Fn(&str) -> Option<String>) -> String {
    let mut digest = Sha256::new();
    for name in names.split(',') {
        digest.update(name);
        // That a field is missing on both sides is a match, too; that it is empty is something else.
        match field(name) {
            Some(value) => {
                digest.update("=");
                digest.update(normalised(name, &value));
            }
            None => digest.update("!"),
        }
        digest.update("\n");
    }
    hex(digest.finalize().get(..16).unwrap_or_default())
}

/// A value without what may differ without meaning: white space around commas, empty members, and the case of what is
/// read in any.
fn normalised(name: &str, value: &str) -> String {
    let members: Vec<&str> =
        split_list(value).0.into_iter().map(str::trim).filter(|member| !member.is_empty()).collect();
    let value = members.join(",");
    if IN_ANY_CASE.contains(&name) { value.to_ascii_lowercase() } else { value }
}

#[cfg(test)]
mod tests {
    use super::{nominated, variance};
    use alloc::string::{String, ToString as _};

    #[track_caller]
    fn check(vary: &str, names: Option<&str>) {
        assert_eq!(nominated(vary).as_deref(), names, "{vary}");
    }

    #[test]
    fn names_are_read_in_any_case_and_order() {
        check("", Some(""));
        check("Foo", Some("foo"));
        check("Foo, bar ,FOO,, Accept-Encoding", Some("accept-encoding,bar,foo"));
    }

    #[test]
    fn what_no_request_can_match_is_nothing() {
        for vary in ["*", "*, *", ", *", "Foo, *", "*, Foo", "a b", "caf\u{e9}", "\"a\"", "a=b"] {
            check(vary, None);
        }
    }

    fn of(names: &str, fields: &[(&str, &str)]) -> String {
        variance(names, |name| fields.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_string()))
    }

    #[test]
    fn requests_match_by_the_nominated_fields_alone() {
        let foo = of("foo", &[("foo", "1")]);
        assert_eq!(foo, of("foo", &[("foo", " 1 "), ("bar", "2")]));
        assert_ne!(foo, of("foo", &[("foo", "2")]));
        assert_ne!(foo, of("foo", &[]));
        assert_ne!(of("foo", &[("foo", "")]), of("foo", &[]));
        assert_eq!(of("foo", &[]), of("foo", &[("bar", "1")]));
        assert_ne!(of("bar,foo", &[("foo", "1")]), of("bar,foo", &[("bar", "1")]));
        assert_ne!(of("foo", &[("foo", "a")]), of("foo", &[("foo", "A")]));
        assert_ne!(of("bar,foo", &[("bar", "1\nfoo=2")]), of("bar,foo", &[("bar", "1"), ("foo", "2")]));
    }

    #[test]
    fn values_match_without_regard_to_white_space() {
        assert_eq!(of("foo", &[("foo", "1,2")]), of("foo", &[("foo", "1 ,\t2,")]));
        assert_ne!(of("foo", &[("foo", "1,2")]), of("foo", &[("foo", "2,1")]));
        assert_ne!(of("foo", &[("foo", "\"1, 2\"")]), of("foo", &[("foo", "\"1,2\"")]));
        assert_eq!(
            of("accept-language", &[("accept-language", "de, EN")]),
            of("accept-language", &[("accept-language", "DE,en")])
        );
    }
}
