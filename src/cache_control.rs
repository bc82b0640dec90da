//! Cache-Control in both directions: what the origin's says, and what the edge emits.
//!
//! RFC 9111, section 5.2. The origin can only make an answer less cacheable than its class; what cannot be
//! understood makes it less cacheable too.

use crate::rules::{Lifetimes, Seconds};
use alloc::string::String;
use alloc::vec::Vec;

/// What the origin's Cache-Control says that matters to a shared cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OriginDirectives {
    /// Section 5.2.2.5.
    pub no_store: bool,
    /// Section 5.2.2.7, with or without field names.
    pub private: bool,
    /// Section 5.2.2.4, with or without field names.
    pub no_cache: bool,
    /// Section 5.2.2.1. A value that is no number counts as 0.
    pub max_age: Option<Seconds>,
    /// Section 5.2.2.10. A value that is no number counts as 0.
    pub s_maxage: Option<Seconds>,
}

impl OriginDirectives {
    /// Reads a Cache-Control field value, all its lines joined by commas.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut read = Self::default();
        let (directives, whole) = split_list(value);
        // A quote that never ends may hide anything.
        read.no_store = !whole;
        for directive in directives {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let (name, argument) = (name.trim(), argument.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("no-store") {
                read.no_store = true;
            } else if name.eq_ignore_ascii_case("private") {
                read.private = true;
            } else if name.eq_ignore_ascii_case("no-cache") {
                read.no_cache = true;
            } else if name.eq_ignore_ascii_case("max-age") {
                read.max_age = Some(least(read.max_age, argument));
            } else if name.eq_ignore_ascii_case("s-maxage") {
                read.s_maxage = Some(least(read.s_maxage, argument));
            }
        }
        read
    }

    /// The freshness lifetime that a shared cache takes from it (section 4.2.1), if it states one.
    #[must_use]
    pub fn shared_lifetime(&self) -> Option<Seconds> {
        self.s_maxage.or(self.max_age)
    }
}

/// Splits at commas that stand outside of quoted strings (RFC 9110, section 5.6.4), and says whether each of these ends.
fn split_list(value: &str) -> (Vec<&str>, bool) {
    let (mut quoted, mut escaped) = (false, false);
    let members = value.split(|character| {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        character == ',' && !quoted
    });
    let members = members.collect();
    (members, !quoted)
}

/// The lesser of what was read before and this argument: of two statements, the less cacheable one counts.
fn least(before: Option<Seconds>, argument: &str) -> Seconds {
    let digits = !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit());
    // Section 1.2.2: what overflows is taken as the greatest number that the recipient can hold.
    let seconds = if digits { argument.parse().unwrap_or(Seconds::MAX) } else { 0 };
    before.map_or(seconds, |before| before.min(seconds))
}

/// Who may keep what the edge emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Any cache: only in a deployment without access control of its own, and only without personal data.
    Public,
    /// The browser alone.
    Private,
}

/// The Cache-Control of an answer of a stored class.
///
/// `freshness_lifetime` is that of the stored response, already cut at the calendar: neither the browser nor
/// a shared cache outlives it. Stale windows are never emitted: they are the edge's own affair, and
/// `s-maxage` forbids stale reuse to whoever obeys it (section 4.2.4).
#[must_use]
pub fn emit(audience: Audience, rule: &Lifetimes, freshness_lifetime: Seconds) -> String {
    let max_age = rule.max_age.min(freshness_lifetime);
    let s_maxage = rule.s_maxage.min(freshness_lifetime);
    match audience {
        Audience::Public => format!("public, max-age={max_age}, s-maxage={s_maxage}"),
        Audience::Private => format!("private, max-age={max_age}"),
    }
}

#[cfg(test)]
mod tests {
    use super::OriginDirectives;

    #[track_caller]
    fn check(value: &str, expected: OriginDirectives) {
        assert_eq!(OriginDirectives::parse(value), expected, "{value}");
    }

    const NONE: OriginDirectives =
        OriginDirectives { no_store: false, private: false, no_cache: false, max_age: None, s_maxage: None };

    #[test]
    fn directives_are_read_in_any_case_and_order() {
        check("", NONE);
        check("public, must-revalidate", NONE);
        check("No-Store", OriginDirectives { no_store: true, ..NONE });
        check("max-age=60,PRIVATE", OriginDirectives { private: true, max_age: Some(60), ..NONE });
        check("no-cache=\"set-cookie, private\"", OriginDirectives { no_cache: true, ..NONE });
        check("ext=\"a\\\"b\", no-store", OriginDirectives { no_store: true, ..NONE });
        check("ext=\"a, private", OriginDirectives { no_store: true, ..NONE });
        check("ext=\"\\\\\", private", OriginDirectives { private: true, ..NONE });
        check("S-MaxAge=\"5\" , max-age=9", OriginDirectives { s_maxage: Some(5), max_age: Some(9), ..NONE });
    }

    #[test]
    fn what_is_not_a_number_or_is_said_twice_makes_it_less_cacheable() {
        for value in
            ["max-age", "max-age=", "max-age=-1", "max-age=1e9", "max-age=1.5", "max-age=abc", "max-age=60, max-age=0"]
        {
            check(value, OriginDirectives { max_age: Some(0), ..NONE });
        }
        check("max-age=99999999999999999999", OriginDirectives { max_age: Some(u32::MAX), ..NONE });
    }

    #[test]
    fn a_shared_cache_takes_s_maxage_first() {
        assert_eq!(OriginDirectives::parse("max-age=10, s-maxage=20").shared_lifetime(), Some(20));
        assert_eq!(OriginDirectives::parse("max-age=10").shared_lifetime(), Some(10));
        assert_eq!(OriginDirectives::parse("public").shared_lifetime(), None);
    }
}
