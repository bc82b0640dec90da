//! Events: each touches something that is stored, and each hot route is touched by one.

use super::super::parse::{RawEvent, RawRoute};
use super::super::table::{Disposition, Effect, Event, Route, Stored, Text, Touches};
use super::classes::KnownClass;
use super::touches::{Named, judge_touches};
use super::{Faults, judge_name, texts};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

pub(super) fn events(raw: &[RawEvent], classes: &[KnownClass], routes: &[Route], faults: &mut Faults) -> Vec<Event> {
    let mut known: BTreeMap<String, Event> = BTreeMap::new();
    let mut taken: BTreeSet<(&str, String)> = BTreeSet::new();
    for event in raw {
        let (name, at) = (event.name.get_ref(), event.name.span().start);
        let rule = format!("event `{name}`");
        judge_name(name, at, &rule, faults);
        let touches = judge_touches(
            &Named { routes: &event.routes, classes: &event.classes, tags: &event.tags },
            classes,
            routes,
            &rule,
            faults,
        );
        let is_nothing = touches == Touches::default();
        let uninstalls = event.uninstalls.as_ref().is_some_and(|uninstalls| *uninstalls.get_ref());
        match (uninstalls, is_nothing) {
            (false, true) => faults.add(at, &rule, "it names no route, class or tag, so it would do nothing"),
            (true, false) => {
                faults.add(at, &rule, "it uninstalls, which erases everything: it can name nothing besides");
            }
            (true, true) | (false, false) => {}
        }
        for (topic, word) in event
            .shopify
            .iter()
            .map(|topic| (topic, "shopify"))
            .chain(event.chatwoot.iter().map(|topic| (topic, "chatwoot")))
        {
            if !taken.insert((word, topic.get_ref().clone())) {
                let sentence = format!("{word} topic `{}` means an event already", topic.get_ref());
                faults.add(topic.span().start, &rule, sentence);
            }
        }
        let effect = if uninstalls { Effect::Uninstalls } else { Effect::Invalidates(touches) };
        let value = Event {
            name: Text::Owned(name.clone()),
            effect,
            shopify: texts(&event.shopify),
            chatwoot: texts(&event.chatwoot),
        };
        if known.insert(name.clone(), value).is_some() {
            faults.add(at, &rule, "this name is taken by an event above");
        }
    }
    known.into_values().collect()
}

/// A route that is kept everywhere must be reachable by what changes it.
pub(super) fn hot_routes_are_invalidated(raw: &[RawRoute], routes: &[Route], events: &[Event], faults: &mut Faults) {
    for route in routes {
        let Disposition::Store(Stored { hot: true, tags, .. }) = &route.disposition else { continue };
        let reached = |event: &Event| match &event.effect {
            Effect::Invalidates(touches) => {
                touches.routes.contains(&route.name)
                    || touches.classes.contains(&route.class)
                    || touches.tags.iter().any(|tag| tags.contains(tag))
            }
            Effect::Uninstalls => false,
        };
        if !events.iter().any(reached) {
            let at = raw.iter().find(|raw| *raw.name.get_ref() == route.name).map_or(0, |raw| raw.name.span().start);
            faults.add(
                at,
                &format!("route `{}`", route.name),
                "it is hot, and no event invalidates it: name it in an [[event]]",
            );
        }
    }
}
