//! Cache-Control in all directions: what the origin's says, what a client's asks for, and what the edge emits.
//!
//! RFC 9111, section 5.2, and the targeted fields of RFC 9213. What cannot be understood makes an answer less
//! cacheable, never more.

use crate::rules::{Lifetimes, Seconds};
use crate::structured::{Item, dictionary};
use alloc::string::String;
use alloc::vec::Vec;

/// What a response's directives say that matters to a shared cache (section 5.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive, and they are independent")]
pub struct ResponseDirectives {
    /// Section 5.2.2.5.
    pub no_store: bool,
    /// Section 5.2.2.7, with or without field names.
    pub private: bool,
    /// Section 5.2.2.4, with or without field names: many caches take both as the same, which is less cacheable.
    pub no_cache: bool,
    /// Section 5.2.2.2.
    pub must_revalidate: bool,
    /// Section 5.2.2.8.
    pub proxy_revalidate: bool,
    /// Section 5.2.2.3.
    pub must_understand: bool,
    /// Section 5.2.2.9.
    pub public: bool,
    /// Section 5.2.2.1. A value that is no number counts as 0.
    pub max_age: Option<Seconds>,
    /// Section 5.2.2.10. A value that is no number counts as 0.
    pub s_maxage: Option<Seconds>,
    /// RFC 5861, section 3. A value that is no number counts as 0.
    pub stale_while_revalidate: Option<Seconds>,
    /// RFC 5861, section 4. A value that is no number counts as 0.
    pub stale_if_error: Option<Seconds>,
}

impl ResponseDirectives {
    /// Reads a Cache-Control field value, all its lines joined by commas.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut read = Self::default();
        let whole = for_each_directive(value, |name, argument| {
            if let Some(seconds) = read.seconds(name) {
                *seconds = Some(least(*seconds, argument.unwrap_or_default()));
            } else if let Some(flag) = read.flag(name) {
                *flag = true;
            }
        });
        if !whole {
            // A quote that never ends may hide anything.
            (read.no_store, read.must_understand) = (true, false);
        }
        read
    }

    /// Reads a targeted field (RFC 9213, section 2.1): a dictionary of structured fields. One that is none, or empty,
    /// or holds a directive with a value of another type, is as if it were not there.
    #[must_use]
    pub fn targeted(value: &str) -> Option<Self> {
        let mut read = Self::default();
        let members = dictionary(value).filter(|members| !members.is_empty())?;
        for (name, item) in members {
            if let Some(seconds) = read.seconds(&name) {
                // RFC 9651, section 3.2: of members with one key, the last counts.
                let Item::Integer(number) = item else { return None };
                *seconds = Some(Seconds::try_from(number.max(0)).unwrap_or(Seconds::MAX));
            } else if let Some(flag) = read.flag(&name) {
                *flag = item != Item::Boolean(false);
            }
        }
        Some(read)
    }

    fn seconds(&mut self, name: &str) -> Option<&mut Option<Seconds>> {
        let of_directive = [
            ("max-age", &mut self.max_age),
            ("s-maxage", &mut self.s_maxage),
            ("stale-while-revalidate", &mut self.stale_while_revalidate),
            ("stale-if-error", &mut self.stale_if_error),
        ];
        of_directive.into_iter().find(|(other, _)| name.eq_ignore_ascii_case(other)).map(|(_, seconds)| seconds)
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        let of_directive = [
            ("no-store", &mut self.no_store),
            ("private", &mut self.private),
            ("no-cache", &mut self.no_cache),
            ("must-revalidate", &mut self.must_revalidate),
            ("proxy-revalidate", &mut self.proxy_revalidate),
            ("must-understand", &mut self.must_understand),
            ("public", &mut self.public),
        ];
        of_directive.into_iter().find(|(other, _)| name.eq_ignore_ascii_case(other)).map(|(_, flag)| flag)
    }

    /// The freshness lifetime that a shared cache takes from it (section 4.2.1), if it states one.
    #[must_use]
    pub fn shared_lifetime(&self) -> Option<Seconds> {
        self.s_maxage.or(self.max_age)
    }

    /// Whether a shared cache may use the response only while it is fresh (section 4.2.4). `s-maxage` says so too
    /// (section 5.2.2.10).
    #[must_use]
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.no_cache || self.s_maxage.is_some()
    }
}

/// What a request's directives ask for (section 5.2.1). They are advice; what cannot be understood is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Section 5.2.1.4: nothing stored, unless the origin says that it is still right.
    pub no_cache: bool,
    /// Section 5.2.1.5: nothing of this exchange is to be stored.
    pub no_store: bool,
    /// Section 5.2.1.7: nothing but what is in store.
    pub only_if_cached: bool,
    /// Section 5.2.1.1: nothing older.
    pub max_age: Option<Seconds>,
    /// Section 5.2.1.3: nothing that is fresh for less.
    pub min_fresh: Seconds,
    /// Section 5.2.1.2: nothing that has been stale for longer. Without an argument, however long.
    pub max_stale: Seconds,
}

impl RequestDirectives {
    /// Reads Cache-Control, and Pragma if there is none (section 5.4).
    #[must_use]
    pub fn parse(cache_control: Option<&str>, pragma: Option<&str>) -> Self {
        let mut read = Self::default();
        let Some(value) = cache_control else {
            for_each_directive(pragma.unwrap_or_default(), |name, _| {
                read.no_cache |= name.eq_ignore_ascii_case("no-cache");
            });
            return read;
        };
        for_each_directive(value, |name, argument| {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let seconds = argument.and_then(delta_seconds);
            if is("no-cache") {
                read.no_cache = true;
            } else if is("no-store") {
                read.no_store = true;
            } else if is("only-if-cached") {
                read.only_if_cached = true;
            } else if is("max-age") {
                read.max_age = seconds.or(read.max_age);
            } else if is("min-fresh") {
                read.min_fresh = seconds.unwrap_or(read.min_fresh);
            } else if is("max-stale") {
                read.max_stale = if argument.is_none() { Seconds::MAX } else { seconds.unwrap_or(read.max_stale) };
            }
        });
        read
    }
}

/// Calls with each directive's name and argument, quotes taken off. Whether each quoted string ends.
fn for_each_directive(value: &str, mut with: impl FnMut(&str, Option<&str>)) -> bool {
    let (directives, whole) = split_list(value);
    for directive in directives {
        let (name, argument) = directive.split_once('=').map_or((directive, None), |(name, value)| (name, Some(value)));
        with(name.trim(), argument.map(|argument| argument.trim().trim_matches('"')));
    }
    whole
}

/// Splits at commas that stand outside of quoted strings (RFC 9110, section 5.6.4), and says whether each of these ends.
#[must_use]
pub fn split_list(value: &str) -> (Vec<&str>, bool) {
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

/// A number of seconds. What overflows is taken as the greatest that can be held (section 1.2.2).
#[must_use]
pub fn delta_seconds(text: &str) -> Option<Seconds> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(Seconds::MAX))
}

/// The lesser of what was read before and this argument: of two statements, the less cacheable one counts.
fn least(before: Option<Seconds>, argument: &str) -> Seconds {
    let seconds = delta_seconds(argument).unwrap_or(0);
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
    use super::{Audience, RequestDirectives, ResponseDirectives, emit};
    use crate::rules::{Bounds, Calendar, Lifetimes, WithoutLedger};

    const NONE: ResponseDirectives = ResponseDirectives {
        no_store: false,
        private: false,
        no_cache: false,
        must_revalidate: false,
        proxy_revalidate: false,
        must_understand: false,
        public: false,
        max_age: None,
        s_maxage: None,
        stale_while_revalidate: None,
        stale_if_error: None,
    };

    #[track_caller]
    fn check(value: &str, expected: ResponseDirectives) {
        assert_eq!(ResponseDirectives::parse(value), expected, "{value}");
    }

    #[test]
    fn directives_are_read_in_any_case_and_order() {
        check("", NONE);
        check("Public, MUST-revalidate", ResponseDirectives { public: true, must_revalidate: true, ..NONE });
        check(
            "proxy-revalidate,must-understand",
            ResponseDirectives { proxy_revalidate: true, must_understand: true, ..NONE },
        );
        check("No-Store", ResponseDirectives { no_store: true, ..NONE });
        check("max-age=60,PRIVATE", ResponseDirectives { private: true, max_age: Some(60), ..NONE });
        check("no-cache=\"set-cookie, private\"", ResponseDirectives { no_cache: true, ..NONE });
        check("ext=\"a\\\"b\", public", ResponseDirectives { public: true, ..NONE });
        check("ext=\"a\\\", public", ResponseDirectives { no_store: true, ..NONE });
        check("ext=\"a, private", ResponseDirectives { no_store: true, ..NONE });
        check("ext=\"\\\\\", private", ResponseDirectives { private: true, ..NONE });
        check("S-MaxAge=\"5\" , max-age=9", ResponseDirectives { s_maxage: Some(5), max_age: Some(9), ..NONE });
        check(
            "stale-while-revalidate=7, stale-if-error=8",
            ResponseDirectives { stale_while_revalidate: Some(7), stale_if_error: Some(8), ..NONE },
        );
        check("no-stores, xmax-age=1, max-age-x=1", NONE);
    }

    #[test]
    fn what_is_not_a_number_or_is_said_twice_makes_it_less_cacheable() {
        for value in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1e9",
            "max-age=1.5",
            "max-age=abc",
            "max-age='60'",
            "max-age=60, max-age=0",
        ] {
            check(value, ResponseDirectives { max_age: Some(0), ..NONE });
        }
        check("stale-if-error=x", ResponseDirectives { stale_if_error: Some(0), ..NONE });
        check("max-age=003600", ResponseDirectives { max_age: Some(3600), ..NONE });
        for value in ["max-age=99999999999999999999", "max-age=4294967296"] {
            check(value, ResponseDirectives { max_age: Some(u32::MAX), ..NONE });
        }
    }

    #[test]
    fn a_shared_cache_takes_s_maxage_first() {
        assert_eq!(ResponseDirectives::parse("max-age=10, s-maxage=20").shared_lifetime(), Some(20));
        assert_eq!(ResponseDirectives::parse("max-age=10").shared_lifetime(), Some(10));
        assert_eq!(ResponseDirectives::parse("public").shared_lifetime(), None);
    }

    #[test]
    fn four_directives_forbid_stale_use() {
        for value in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1"] {
            assert!(ResponseDirectives::parse(value).forbids_stale(), "{value}");
        }
        assert!(!ResponseDirectives::parse("public, max-age=1, must-understand").forbids_stale());
    }

    #[track_caller]
    fn check_targeted(value: &str, expected: Option<ResponseDirectives>) {
        assert_eq!(ResponseDirectives::targeted(value), expected, "{value}");
    }

    #[test]
    fn a_targeted_field_is_a_dictionary_or_nothing() {
        check_targeted("max-age=60", Some(ResponseDirectives { max_age: Some(60), ..NONE }));
        check_targeted(
            "max-age=60, max-age=9;x, no-store",
            Some(ResponseDirectives { max_age: Some(9), no_store: true, ..NONE }),
        );
        check_targeted("no-store=?0, private=\"a\"", Some(ResponseDirectives { private: true, ..NONE }));
        check_targeted("max-age=-1, ext=1.5", Some(ResponseDirectives { max_age: Some(0), ..NONE }));
        check_targeted("s-maxage=4294967296", Some(ResponseDirectives { s_maxage: Some(u32::MAX), ..NONE }));
        check_targeted("ext", Some(NONE));
        for value in [
            "",
            " ",
            "max-age=\"60\"",
            "max-age",
            "max-age=60.0",
            "max-age=60, &&&",
            "Max-Age=60",
            "max-age = 60",
            "max-age=60,",
        ] {
            check_targeted(value, None);
        }
    }

    /// Of a class with 300 s at the edge and 30 s in the browser.
    #[track_caller]
    fn check_emitted(audience: Audience, freshness_lifetime: u32, expected: &str) {
        let rule = Lifetimes {
            s_maxage: 300,
            max_age: 30,
            stale_while_revalidate: 60,
            stale_if_error: 60,
            soft_window: 0,
            calendar: Calendar::None,
            without_ledger: WithoutLedger::Forward,
            snapshot: Bounds { isolate: 1, bound: 5, behind: None },
        };
        assert_eq!(emit(audience, &rule, freshness_lifetime), expected);
    }

    #[test]
    fn nobody_is_told_to_keep_it_for_longer_than_it_is_fresh() {
        check_emitted(Audience::Public, 600, "public, max-age=30, s-maxage=300");
        check_emitted(Audience::Public, 60, "public, max-age=30, s-maxage=60");
        check_emitted(Audience::Public, 10, "public, max-age=10, s-maxage=10");
        check_emitted(Audience::Private, 60, "private, max-age=30");
        check_emitted(Audience::Private, 10, "private, max-age=10");
    }

    const ASKS_NOTHING: RequestDirectives = RequestDirectives {
        no_cache: false,
        no_store: false,
        only_if_cached: false,
        max_age: None,
        min_fresh: 0,
        max_stale: 0,
    };

    #[track_caller]
    fn check_request(cache_control: Option<&str>, pragma: Option<&str>, expected: RequestDirectives) {
        assert_eq!(RequestDirectives::parse(cache_control, pragma), expected, "{cache_control:?} {pragma:?}");
    }

    #[test]
    fn a_request_asks_for_what_can_be_understood() {
        check_request(None, None, ASKS_NOTHING);
        check_request(Some("No-Cache"), None, RequestDirectives { no_cache: true, ..ASKS_NOTHING });
        check_request(
            Some("no-store, only-if-cached"),
            None,
            RequestDirectives { no_store: true, only_if_cached: true, ..ASKS_NOTHING },
        );
        check_request(
            Some("max-age=1, min-fresh=2, max-stale=3"),
            None,
            RequestDirectives { max_age: Some(1), min_fresh: 2, max_stale: 3, ..ASKS_NOTHING },
        );
        check_request(Some("max-stale"), None, RequestDirectives { max_stale: u32::MAX, ..ASKS_NOTHING });
        check_request(Some("max-stale=x, max-age=-1, min-fresh=, max-age"), None, ASKS_NOTHING);
    }

    #[test]
    fn pragma_counts_without_cache_control() {
        check_request(None, Some("x, NO-cache"), RequestDirectives { no_cache: true, ..ASKS_NOTHING });
        check_request(None, Some("max-age=0, no-store"), ASKS_NOTHING);
        check_request(Some("x"), Some("no-cache"), ASKS_NOTHING);
    }
}
