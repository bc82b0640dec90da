//! Roles: what a credential's claims make of a reader, and the routes that ask for it.

use super::super::parse::{RawRole, RawRoute};
use super::super::table::{Auth, DecidedBy, Disposition, List, Role, Text, is_word};
use super::{Faults, judge_name, texts};
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// The greatest length of a role's name: it is part of keys.
pub(super) const NAME_GREATEST_LENGTH: usize = 32;

pub(super) fn roles(raw: &[RawRole], faults: &mut Faults) -> Vec<Role> {
    let mut known: Vec<Role> = Vec::new();
    for role in raw {
        let (name, at) = (role.name.get_ref(), role.name.span().start);
        let rule = format!("role `{name}`");
        judge_name(name, at, &rule, faults);
        if name.len() > NAME_GREATEST_LENGTH {
            faults.add(
                at,
                &rule,
                format!("its name is part of keys, so it has at most {NAME_GREATEST_LENGTH} characters"),
            );
        }
        if known.iter().any(|other| other.name == *name) {
            faults.add(at, &rule, "this name is taken by a role above");
        }
        if !role.claim.get_ref().split('.').all(is_word) {
            faults.add(
                role.claim.span().start,
                &rule,
                format!("claim `{}` is not a dotted path such as `custom.role`", role.claim.get_ref()),
            );
        }
        if role.values.get_ref().is_empty() {
            faults.add(role.values.span().start, &rule, "it has no values, so nobody would ever have it");
        }
        let values = role.values.get_ref().iter().map(|value| Text::Owned(value.clone()));
        known.push(Role {
            name: Text::Owned(name.clone()),
            claim: List::Owned(role.claim.get_ref().split('.').map(|part| Text::Owned(part.to_string())).collect()),
            values: List::Owned(values.collect()),
        });
    }
    known
}

/// Who may ask for a route, and in which roles.
pub(super) fn admitted(
    route: &RawRoute,
    disposition: &Disposition,
    roles: &[Role],
    rule: &str,
    faults: &mut Faults,
) -> (Auth, List<Text>) {
    let auth = match route.auth.as_ref().map(|auth| (auth.get_ref().as_str(), auth.span().start)) {
        None | Some(("edge", _)) => Auth::Edge,
        Some(("origin", at)) => {
            if matches!(disposition, Disposition::Store(_)) {
                faults.add(at, rule, "auth = \"origin\" on a stored route: an answer from store asks no origin");
            }
            if let Some(invalidates) = &route.invalidates {
                let sentence = "`invalidates` needs a tenant, and with auth = \"origin\" there is none";
                faults.add(invalidates.span().start, rule, sentence);
            }
            if let Some(role) = route.roles.first() {
                let sentence = "`roles` are read from a credential, and with auth = \"origin\" the edge looks at none";
                faults.add(role.span().start, rule, sentence);
            }
            Auth::Origin
        }
        Some((other, at)) => {
            faults.add(at, rule, format!("auth `{other}` is not known: say `edge` or `origin`"));
            Auth::Edge
        }
    };
    if let (Disposition::Store(stored), Some(role)) = (disposition, route.roles.first())
        && stored.decided_by == DecidedBy::Origin
    {
        let sentence = "`roles` on a route whose class lets the origin decide: such an answer is one for all";
        faults.add(role.span().start, rule, sentence);
    }
    for role in &route.roles {
        if !roles.iter().any(|known| known.name == *role.get_ref()) {
            faults.add(role.span().start, rule, format!("role `{}` is not defined", role.get_ref()));
        }
    }
    (auth, texts(&route.roles))
}
