//! Deleting what a purge covers from Workers KV: which values, and how far it is with them.
//!
//! Values are deleted in two *passes*: what was being written during the first one has landed by the second. A pass
//! goes over a tenant's values page by page; between two pages, how far it is stands on disk.

use super::outbox::ERASED_AGAIN_MS;
use crate::entry::Head;
use crate::epoch::{Covered, Epoch, Scope};
use crate::rules::Rules;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// How many values a page has: each may cost a call, and calls of one invocation are limited.
pub const PAGE: u32 = 30;

/// An erasure that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    is_second: bool,
    /// What was stored at this position or later is left alone.
    before: Epoch,
    /// Where the next page begins, as KV told. Nothing at the beginning of a pass.
    cursor: Option<String>,
    scopes: Vec<Scope>,
}

impl Erasure {
    /// Of what these scopes cover and was stored before the position.
    #[must_use]
    pub fn begin(before: Epoch, scopes: Vec<Scope>) -> Self {
        Self { is_second: false, before, cursor: None, scopes }
    }

    /// Where the next page begins.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Whether a value is to be deleted. `key` is its name without the tenant; `head` is what is known of it. What
    /// cannot be read any more is of no use, however new it is.
    #[must_use]
    pub fn dooms(&self, rules: &Rules, key: &str, head: Option<&Head>) -> bool {
        let base = key.split('?').next().unwrap_or_default();
        let route = rules.stored().find(|(_, stored)| stored.key == base).map(|(route, _)| route);
        let (class, route) = route.map_or(("", ""), |route| (&*route.class, &*route.name));
        let covered = Covered { class, route, key, marks: head.map_or("", |head| &head.marks) };
        head.is_none_or(|head| head.epoch < self.before) && self.scopes.iter().any(|scope| scope.covers(&covered))
    }

    /// After a page, with the cursor of the next one: how it goes on, and in how many milliseconds. Nothing, if it is
    /// done.
    #[must_use]
    pub fn next(self, cursor: Option<String>) -> Option<(Self, u64)> {
        match (cursor, self.is_second) {
            (Some(cursor), _) => Some((Self { cursor: Some(cursor), ..self }, 0)),
            (None, false) => Some((Self { is_second: true, cursor: None, ..self }, ERASED_AGAIN_MS)),
            (None, true) => None,
        }
    }

    /// The same pass from its beginning: a cursor that fails may have become invalid.
    #[must_use]
    pub fn again(self) -> Self {
        Self { cursor: None, ..self }
    }

    /// As it is written down: pass, position and cursor, then the scopes, a line each.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::from(if self.is_second { "2 " } else { "1 " });
        text.push_str(&self.before.to_string());
        if let Some(cursor) = &self.cursor {
            text.push(' ');
            text.push_str(cursor);
        }
        for scope in &self.scopes {
            text.push('\n');
            text.push_str(&scope.to_string());
        }
        text
    }

    /// Reads what [`Erasure::encode`] wrote. Anything else is nothing.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (head, scopes) = text.split_once('\n')?;
        let mut words = head.splitn(3, ' ');
        let is_second = match words.next()? {
            "1" => false,
            "2" => true,
            _ => return None,
        };
        let before = Epoch(words.next()?.parse().ok()?);
        let cursor = words.next().map(String::from);
        let scopes: Option<Vec<Scope>> = scopes.split('\n').map(Scope::parse).collect();
        Some(Self { is_second, before, cursor, scopes: scopes? })
    }
}

#[cfg(test)]
mod tests {
    use super::Erasure;
    use crate::entry::{FORMAT, Head};
    use crate::epoch::{Epoch, Scope, mark};
    use crate::rules::compiled;
    use crate::time::UnixMillis;
    use crate::validation::Validators;
    use alloc::vec::Vec;

    const OPS: &str = "dashboard:tile:ops:v1";
    const TRENDS: &str = "dashboard:trends:revenue:v1?days=30";

    fn head(epoch: u64, tag: &str) -> Head {
        Head {
            format: FORMAT,
            status: 200,
            requested_at: UnixMillis(0),
            received_at: UnixMillis(0),
            initial_age: 0,
            lifetime: 60,
            period_end: None,
            epoch: Epoch(epoch),
            etag: "W/\"e\"".into(),
            digest: "d".into(),
            length: 4,
            headers: Vec::new(),
            marks: mark(tag),
            stated: None,
            validators: Validators::default(),
            followed: None,
        }
    }

    fn erasure(scope: Scope) -> Erasure {
        Erasure::begin(Epoch(100), vec![scope])
    }

    #[test]
    fn what_is_covered_and_older_is_doomed() {
        let key = |key: &str| Scope::Key { route: "trends_revenue".into(), key: key.into() };
        let doomed = [
            (Scope::Tenant, [true, true]),
            (Scope::Class("near_real_time".into()), [true, false]),
            (Scope::Route("trends_revenue".into()), [false, true]),
            (key(TRENDS), [false, true]),
            (key("dashboard:trends:revenue:v1?days=90"), [false, false]),
            (Scope::Tag(mark("orders")), [true, false]),
        ];
        for (scope, expected) in doomed {
            let erasure = erasure(scope.clone());
            let dooms = |epoch| {
                [(OPS, head(epoch, "orders")), (TRENDS, head(epoch, "other"))]
                    .map(|(key, head)| erasure.dooms(compiled(), key, Some(&head)))
            };
            assert_eq!(dooms(99), expected, "{scope}");
            assert_eq!(dooms(100), [false, false], "{scope}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_doomed_with_what_its_name_says() {
        assert!(erasure(Scope::Tenant).dooms(compiled(), "no key of today", None));
        assert!(erasure(Scope::Route("ops".into())).dooms(compiled(), OPS, None));
        assert!(!erasure(Scope::Route("ops".into())).dooms(compiled(), TRENDS, None));
        assert!(!erasure(Scope::Tag(mark("orders"))).dooms(compiled(), OPS, None));
    }

    #[test]
    fn two_passes_go_over_every_page() {
        let mut erasure = erasure(Scope::Tenant);
        let mut steps = Vec::new();
        for cursor in [Some("a b"), None, Some("c"), None] {
            let (next, wait) = erasure.next(cursor.map(Into::into)).unwrap_or_else(|| panic!("it ends at {steps:?}"));
            assert_eq!(Erasure::decode(&next.encode()).as_ref(), Some(&next));
            assert_eq!(next.clone().again().cursor(), None);
            steps.push((next.is_second, next.cursor.clone(), wait));
            erasure = next;
            if steps.len() == 3 {
                break;
            }
        }
        let cursor = |cursor: &str| Some(cursor.into());
        assert_eq!(steps, [(false, cursor("a b"), 0), (true, None, 90_000), (true, cursor("c"), 0)]);
        assert_eq!(erasure.next(None), None);
    }

    #[test]
    fn what_is_no_erasure_is_not_read() {
        for text in ["", "1 5", "3 5\ntenant", "1 x\ntenant", "1\ntenant", "1 5\nsomething"] {
            assert_eq!(Erasure::decode(text), None, "{text:?}");
        }
    }
}
