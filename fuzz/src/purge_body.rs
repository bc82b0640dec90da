//! The body of `POST /cache/purge`.

use hotrod_edge::epoch::{Mode, Scope};
use hotrod_edge::ledger::order::{Occasion, Order};
use hotrod_edge::purge::{ITEMS_AT_MOST, Requested, Tenants, read};

use crate::{config, rules};

pub(crate) fn check(input: &[u8]) {
    let Ok(Requested { tenants, mode, scopes, .. }) = read(input, rules(), config()) else { return };
    assert!(scopes.iter().next().is_some(), "a purge of nothing is refused");
    assert!(scopes.iter().count() <= ITEMS_AT_MOST * rules().routes.len());
    for scope in scopes.iter() {
        check_exists(scope);
    }
    if tenants == Tenants::All {
        assert!(scopes.iter().eq([&Scope::Tenant]) && mode != Mode::Erase);
    }
    // It reaches the ledger as it is.
    let order = Order { mode, scopes, occasion: Occasion::Write };
    assert_eq!(Order::decode(&order.encode()), Some(order));
}

/// Nobody is told that something was purged which is never stored, nor by a name that covers nothing.
fn check_exists(scope: &Scope) {
    let is_stored = |name: &str| rules().stored().any(|(route, _)| route.name == name);
    match scope {
        Scope::Tenant => {}
        Scope::Class(name) => assert!(rules().stored().any(|(route, _)| route.class == *name), "{name}"),
        Scope::Route(name) => assert!(is_stored(name), "{name}"),
        Scope::Key { route, key } => {
            let (base, parameters) = key.split_once('?').unwrap_or((key, ""));
            assert!(rules().stored().any(|(other, stored)| other.name == *route && stored.key == base), "{key}");
            assert!(parameters.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        }
        Scope::Tag(mark) => assert!(mark.len() == 12 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "{mark}"),
    }
}
