//! A storm of orders over the locations of a lab while people look at the dashboard: what they wait for, how old what
//! they see is, and whether each receipt is kept.
//!
//! The origin says in each answer when it was asked, so the age of what anybody sees is known, whatever the edge says.

mod load;
mod receipt;
mod report;
mod schedule;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

pub use report::Report;

use crate::client::Call;
use crate::harness::{TENANT, wait_until};
use crate::origin::{Answer, Wait};
use crate::stored::{Kept, all_kept};
use crate::stores::Op;
use crate::webhook;
use crate::{Lab, Layout};
use load::Client;
use schedule::schedule;

/// What the storm is made of.
const EVENT: &str = "order.created";
/// What operators look at: the tiles and the summary.
const LOOKED_AT: [&str; 6] = ["sales_pulse", "inventory", "fulfillment", "cx", "ops", "kpi_summary"];
/// How long the origin takes.
const ORIGIN_TAKES: Duration = Duration::from_millis(100);

/// Who looks, while it storms.
#[derive(Clone, Copy, Debug)]
pub enum Readers {
    /// So many dashboards, each in one location, which ask for all figures every so often, as browsers do: at once, and
    /// with the entity tags of what they have.
    Operators {
        /// How many.
        count: usize,
        /// How often.
        every: Duration,
    },
    /// So many requests a second, each for any figure in any location, by somebody who has nothing yet.
    Visitors {
        /// How many a second.
        per_second: u32,
    },
}

/// A storm.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it is called.
    pub name: &'static str,
    /// Where.
    pub locations: &'static [&'static str],
    /// How long.
    pub length: Duration,
    /// How many events.
    pub events: usize,
    /// Who looks.
    pub readers: Readers,
}

const LOCATIONS: &[&str] = &["ams", "iad", "sin"];

impl Plan {
    /// 20 operators who poll every 30 s. They ask seldom, so it takes two minutes at 1,000 events each.
    pub const OPERATORS: Self = Self {
        name: "20 operators, each polls 6 figures every 30 s",
        locations: LOCATIONS,
        length: Duration::from_mins(2),
        events: 2000,
        readers: Readers::Operators { count: 20, every: Duration::from_secs(30) },
    };
    /// 100 requests a second, for a minute with 1,000 events.
    pub const VISITORS: Self = Self {
        name: "100 requests a second",
        locations: LOCATIONS,
        length: Duration::from_mins(1),
        events: 1000,
        readers: Readers::Visitors { per_second: 100 },
    };
    /// The same in one location and short.
    pub const QUICK: Self = Self {
        name: "quick: 20 requests a second in one location",
        locations: &["ams"],
        length: Duration::from_secs(10),
        events: 160,
        readers: Readers::Visitors { per_second: 20 },
    };

    /// Runs it in a lab of its own, whose caches are warm when it begins.
    pub fn run(&self) -> Report {
        let figures = figures();
        let lab = Layout::new().locations(self.locations).var("WEBHOOKS", &webhook::setting(&[TENANT])).start();
        for figure in &figures {
            lab.origin().script(&figure.target, |_, _| figure_now());
        }
        warm(&lab, self.locations, &figures);
        let client = Client::new(&lab, self.locations, &figures);
        let before = Counts::of(&lab, self.locations, &figures);
        let load = client.run(&schedule(self, figures.len()));
        let counts = Counts::of(&lab, self.locations, &figures).since(&before);
        // From here on, whatever was promised of these figures holds.
        let promised = figures.iter().flat_map(|figure| load.receipts().filter_map(|receipt| receipt.binds(figure)));
        let wait = promised.max().unwrap_or(0).saturating_sub(unix_millis());
        std::thread::sleep(Duration::from_millis(wait));
        let afterwards = client.look_everywhere();
        Report::new(self, &load, &afterwards, counts)
    }
}

/// The figures that are looked at, as the rules have them.
fn figures() -> Vec<Kept> {
    let mut kept = all_kept();
    kept.retain(|kept| LOOKED_AT.contains(&kept.route));
    assert_eq!(kept.len(), LOOKED_AT.len(), "the rules have other figures: {kept:?}");
    kept
}

/// The origin's answer: when it was asked is all that it says, and new each time.
fn figure_now() -> Answer {
    let data = json!({"asked_at": unix_millis()});
    let body = json!({"status": "ok", "success": true, "data": data});
    Answer::json(&body).wait_before_head(Wait::For(ORIGIN_TAKES))
}

fn warm(lab: &Lab, locations: &[&str], figures: &[Kept]) {
    for location in locations {
        for figure in figures {
            let answer = lab.at(location).ask(&Call::get(&figure.target));
            assert_eq!(answer.status, 200, "{}: {}", figure.target, answer.text());
            wait_until("the location has it", || lab.at(location).in_cache(&figure.key).is_some());
        }
    }
}

/// What it cost so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Requests at the origin, by route.
    pub(crate) origin: BTreeMap<String, usize>,
    /// Calls of the ledger by Workers, by what is called.
    pub(crate) ledger: BTreeMap<String, usize>,
    /// Operations of KV.
    pub(crate) kv: BTreeMap<String, usize>,
}

impl Counts {
    fn of(lab: &Lab, locations: &[&str], figures: &[Kept]) -> Self {
        let mut counts = Self::default();
        for figure in figures {
            counts.origin.insert(figure.route.to_owned(), lab.origin().count(&figure.target));
        }
        for location in locations {
            for (path, count) in lab.ledger_calls_by_path(location) {
                let called = path.split('/').nth(1).unwrap_or_default();
                *counts.ledger.entry(called.to_owned()).or_default() += count;
            }
            let kv = lab.at(location).kv_face();
            for (name, op) in [("read", Op::Get), ("write", Op::Put)] {
                *counts.kv.entry(name.to_owned()).or_default() += kv.count(op);
            }
        }
        counts
    }

    fn since(mut self, before: &Self) -> Self {
        let pairs =
            [(&mut self.origin, &before.origin), (&mut self.ledger, &before.ledger), (&mut self.kv, &before.kv)];
        for (counts, before) in pairs {
            for (name, count) in counts.iter_mut() {
                *count -= before.get(name).copied().unwrap_or(0);
            }
        }
        self
    }
}

/// Now, in milliseconds since 1970.
fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    u64::try_from(now).expect("a year that fits")
}

/// Both clocks at one moment: the one that ages are measured with, and the one that receipts tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    unix_millis: u64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        Self { instant: Instant::now(), unix_millis: unix_millis() }
    }

    /// A later moment, in milliseconds since 1970.
    pub(crate) fn unix_millis_at(self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.instant).as_millis();
        self.unix_millis + u64::try_from(passed).expect("a run is short")
    }
}
