//! Cache poisoning and deception: whatever others ask, before and meanwhile, somebody who asks plainly is answered
//! with one and the same body, from store as well as anew. The origin answers with all that it was asked.

use super::hostile::{request, stored_paths};
use super::{by, rules, with_sessions};
use crate::client::{Seen, ask};
use crate::fakes::{Asking, Location, World};
use crate::random::{Count, hold, is_long};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq};
use proptest::sample::{Index, select};
use std::rc::Rc;

const VICTIM: &str = "shop.test";
const STRANGER: &str = "other.test";

/// What happens before somebody attacks.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    Eviction,
    Expiry,
    Soft,
    Hard,
}

/// One attack.
#[derive(Debug, Clone)]
struct Attack {
    before: Before,
    request: Asking,
    /// By whom, where the tenant is that of a session.
    by: &'static str,
    /// Who is looked at if it was not for a stored path.
    victim: Index,
}

fn attack() -> impl Strategy<Value = Attack> {
    let before = vec![
        Before::Nothing,
        Before::Nothing,
        Before::Nothing,
        Before::Nothing,
        Before::Eviction,
        Before::Expiry,
        Before::Soft,
        Before::Hard,
    ];
    (select(before), request(), select(&[VICTIM, STRANGER][..]), any::<Index>())
        .prop_map(|(before, request, by, victim)| Attack { before, request, by, victim })
}

/// What a clean request is answered with: all that can be seen of it but its age.
type Answer = (u16, String, Vec<(String, String)>);

/// A deployment, with sessions or without.
struct Deployment {
    location: Rc<Location>,
    has_sessions: bool,
}

impl Deployment {
    fn new(has_sessions: bool) -> Self {
        let world = World::at(0);
        world.origin.echoes.set(true);
        let location = if has_sessions {
            with_sessions(&world, &[VICTIM, STRANGER])
        } else {
            Location::with(&world, VICTIM, Some(rules()))
        };
        Self { location, has_sessions }
    }

    fn ask(&self, tenant: &str, request: Asking) -> Seen {
        let request = if self.has_sessions { by(&self.location.world, tenant, request) } else { request };
        ask(&self.location, request)
    }

    /// How it answers a clean request, and whether from store.
    fn clean(&self, path: &str) -> (Answer, bool) {
        let seen = self.ask(VICTIM, Asking::get(path));
        let moving = ["age", "cache-control", "cache-status"];
        let lines = seen.lines.iter().filter(|(name, _)| !moving.contains(&name.as_str())).cloned().collect();
        ((seen.status, seen.text(), lines), seen.origin_requests == 0)
    }

    fn prepare(&self, before: Before) {
        let purge = |mode: &str| {
            let body = format!(r#"{{"mode":"{mode}","all":true,"tenant":"{VICTIM}"}}"#);
            assert_eq!(ask(&self.location, Asking::purge(body)).status, 202);
        };
        match before {
            Before::Nothing => {}
            Before::Eviction => {
                self.location.edge.clear();
                self.location.world.kv.clear();
            }
            Before::Expiry => self.location.world.pass(90_000_000),
            Before::Soft => purge("soft"),
            Before::Hard => purge("hard"),
        }
    }
}

/// Tries rounds of 20 attacks each, on average.
#[track_caller]
fn check(has_sessions: bool) {
    let paths = stored_paths();
    let expected: Vec<Answer> = paths.iter().map(|path| Deployment::new(has_sessions).clean(path).0).collect();
    assert!(expected.iter().all(|(status, ..)| *status == 200));
    let (attacks, filled) = (Count::default(), Count::default());
    let rounds = if is_long() { 25_000 } else { 500 };
    hold(0..rounds, vec(attack(), 1..40), |round| {
        let deployment = Deployment::new(has_sessions);
        for Attack { before, request, by, victim } in round {
            deployment.prepare(before);
            let url = request.url.split('?').next().unwrap_or_default();
            let asked = paths.iter().position(|path| url.ends_with(path.as_str()));
            let asked = asked.unwrap_or_else(|| victim.index(paths.len()));
            let attacker = deployment.ask(by, request);
            let (answer, from_store) = deployment.clean(&paths[asked]);
            prop_assert_eq!(&answer, &expected[asked], "{}", paths[asked]);
            attacks.one();
            if from_store && attacker.origin_requests == 1 {
                filled.one();
            }
        }
        Ok(())
    });
    attacks.at_least(9_500);
    // As often, a clean request was answered with what the attacker's had put into the store.
    filled.at_least(1_000);
}

/// 10,000 attacks, and half a million with `HOTROD_LONG=1`.
#[test]
fn whatever_others_ask_a_clean_request_has_one_answer() {
    check(false);
}

/// As many, some by people of the same tenant and some by others.
#[test]
fn whatever_others_ask_in_their_sessions_a_clean_request_has_one_answer() {
    check(true);
}
