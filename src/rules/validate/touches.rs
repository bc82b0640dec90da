//! What events and writes make out of date: it must be there, and be stored.

use super::super::parse::RawRoute;
use super::super::table::{Disposition, Policy, Route, Touches};
use super::classes::KnownClass;
use super::{Faults, texts};
use alloc::string::String;
use toml::Spanned;

/// The greatest length of a tag.
const TAG_GREATEST_LENGTH: usize = 64;
/// How many tags a rule may name.
const TAGS_AT_MOST: usize = 32;

/// What a rule names as touched, as it stands in the file.
pub(super) struct Named<'a> {
    pub routes: &'a [Spanned<String>],
    pub classes: &'a [Spanned<String>],
    pub tags: &'a [Spanned<String>],
}

/// All of it must be there, and stored.
pub(super) fn judge_touches(
    named: &Named<'_>,
    classes: &[KnownClass],
    routes: &[Route],
    rule: &str,
    faults: &mut Faults,
) -> Touches {
    for route in named.routes {
        match routes.iter().find(|other| other.name == *route.get_ref()).map(|route| &route.disposition) {
            Some(Disposition::Store(_)) => {}
            Some(Disposition::Live | Disposition::Bypass) => {
                faults.add(
                    route.span().start,
                    rule,
                    format!("route `{}` is never stored, so there is nothing to invalidate", route.get_ref()),
                );
            }
            None => faults.add(route.span().start, rule, format!("route `{}` is not defined", route.get_ref())),
        }
    }
    for class in named.classes {
        match classes.iter().find(|other| other.class.name == *class.get_ref()).map(|known| &known.class.policy) {
            Some(Policy::Store(_) | Policy::Origin(_)) => {}
            Some(Policy::Live | Policy::Bypass) => {
                faults.add(
                    class.span().start,
                    rule,
                    format!("class `{}` is never stored, so there is nothing to invalidate", class.get_ref()),
                );
            }
            None => faults.add(class.span().start, rule, format!("class `{}` is not defined", class.get_ref())),
        }
    }
    judge_tags(named.tags, rule, faults);
    Touches { routes: texts(named.routes), classes: texts(named.classes), tags: texts(named.tags) }
}

/// Tags are written into purges and header fields as they stand.
pub(super) fn judge_tags(tags: &[Spanned<String>], rule: &str, faults: &mut Faults) {
    if let Some(surplus) = tags.get(TAGS_AT_MOST) {
        faults.add(surplus.span().start, rule, format!("it has more than {TAGS_AT_MOST} tags"));
    }
    for tag in tags {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'\\');
        if tag.get_ref().is_empty() || tag.get_ref().len() > TAG_GREATEST_LENGTH || !tag.get_ref().bytes().all(plain) {
            faults.add(
                tag.span().start,
                rule,
                format!(
                    "tag `{}` is not 1 to {TAG_GREATEST_LENGTH} printable \
                     ASCII characters without space, comma, quote and backslash",
                    tag.get_ref()
                ),
            );
        }
    }
}

/// What writes make out of date, on the routes that writes go to.
pub(super) fn invalidations(raw: &[RawRoute], classes: &[KnownClass], routes: &mut [Route], faults: &mut Faults) {
    for route in raw {
        let Some(invalidates) = &route.invalidates else { continue };
        let (named, at) = (invalidates.get_ref(), invalidates.span().start);
        let rule = format!("route `{}`", route.name.get_ref());
        let named = Named { routes: &named.routes, classes: &named.classes, tags: &named.tags };
        let touches = judge_touches(&named, classes, routes, &rule, faults);
        if touches == Touches::default() {
            faults.add(at, &rule, "`invalidates` names no route, class or tag, so it would do nothing");
        }
        let Some(route) = routes.iter_mut().find(|other| other.name == *route.name.get_ref()) else { continue };
        match route.disposition {
            Disposition::Bypass => route.invalidates = Some(touches),
            Disposition::Live | Disposition::Store(_) => {
                faults.add(
                    at,
                    &rule,
                    String::from("`invalidates` belongs on a route of a class that is bypassed: what is written to"),
                );
            }
        }
    }
}
