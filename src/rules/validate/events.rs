//! Events: each touches something that is stored, and each hot route is touched by one.

use super::super::parse::{RawEvent, RawRoute};
use super::super::table::{Disposition, Event, Policy, Route, Stored, Text};
use super::classes::KnownClass;
use super::{Faults, judge_name, texts};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) fn events(raw: &[RawEvent], classes: &[KnownClass], routes: &[Route], faults: &mut Faults) -> Vec<Event> {
    let mut known: BTreeMap<String, Event> = BTreeMap::new();
    for event in raw {
        let (name, at) = (event.name.get_ref(), event.name.span().start);
        let rule = format!("event `{name}`");
        judge_name(name, at, &rule, faults);
        if event.routes.is_empty() && event.classes.is_empty() {
            faults.add(at, &rule, "it names no route and no class, so it would do nothing");
        }
        for route in &event.routes {
            match routes.iter().find(|other| other.name == *route.get_ref()).map(|route| &route.disposition) {
                Some(Disposition::Store(_)) => {}
                Some(Disposition::Live | Disposition::Bypass) => {
                    faults.add(
                        route.span().start,
                        &rule,
                        format!("route `{}` is never stored, so there is nothing to invalidate", route.get_ref()),
                    );
                }
                None => faults.add(route.span().start, &rule, format!("route `{}` is not defined", route.get_ref())),
            }
        }
        for class in &event.classes {
            match classes.iter().find(|other| other.class.name == *class.get_ref()).map(|known| &known.class.policy) {
                Some(Policy::Store(_)) => {}
                Some(Policy::Live | Policy::Bypass) => {
                    faults.add(
                        class.span().start,
                        &rule,
                        format!("class `{}` is never stored, so there is nothing to invalidate", class.get_ref()),
                    );
                }
                None => faults.add(class.span().start, &rule, format!("class `{}` is not defined", class.get_ref())),
            }
        }
        let value =
            Event { name: Text::Owned(name.clone()), routes: texts(&event.routes), classes: texts(&event.classes) };
        if known.insert(name.clone(), value).is_some() {
            faults.add(at, &rule, "this name is taken by an event above");
        }
    }
    known.into_values().collect()
}

/// A route that is kept everywhere must be reachable by what changes it.
pub(super) fn hot_routes_are_invalidated(raw: &[RawRoute], routes: &[Route], events: &[Event], faults: &mut Faults) {
    for route in routes {
        let Disposition::Store(Stored { hot: true, .. }) = &route.disposition else { continue };
        if !events.iter().any(|event| event.routes.contains(&route.name) || event.classes.contains(&route.class)) {
            let at = raw.iter().find(|raw| *raw.name.get_ref() == route.name).map_or(0, |raw| raw.name.span().start);
            faults.add(
                at,
                &format!("route `{}`", route.name),
                "it is hot, and no event invalidates it: name it in an [[event]]",
            );
        }
    }
}
