//! A storm: random requests and purges of several tenants in all locations, while stores lose and delay what they are
//! given, and the ways to ledger and origin are long. Every receipt is held to its promise, and no tenant gets what is
//! another's. How long bodies from before a purge were really seen is printed, beside how long was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab::gate::{Gate, lock};
use lab::harness::{OPERATOR_TOKEN, TENANT};
use lab::origin::{Answer, Wait};
use lab::promise::{Figure, History, Moment, Receipt, ask, dated, now, wait_until_after};
use lab::purge::purge_call;
use lab::stored::{Kept, all_kept};
use lab::stores::{Fault, Op};
use lab::{Lab, Layout};
use serde_json::{Value, json};

const TENANTS: [&str; 4] = [TENANT, "second.myshopify.com", "third.myshopify.com", "fourth.myshopify.com"];
const LOCATIONS: [&str; 3] = ["ams", "iad", "sin"];
const ISOLATES: usize = 2;
/// Routes of each class; the first are asked for most.
const ROUTES: [&str; 9] = [
    "sales_pulse",
    "segments",
    "cx",
    "inventory",
    "products_top",
    "growth_metrics",
    "trends_revenue",
    "metrics_ytd",
    "compare_yoy",
];
/// The group in which the origin puts some answers, beside the tags that they have by rule.
const GROUP: &str = "spring";
const GROUPED: [&str; 3] = ["segments", "inventory", "compare_yoy"];
/// Tags by rule, and the group.
const TAGS: [&str; 4] = ["orders", "inventory", "customers", GROUP];

const CLIENTS: usize = 20;
/// The longest pause of a client between two requests; half of it on average.
const PAUSE: u64 = 100;
/// The longest pause of a tenant between two purges.
const BETWEEN_PURGES: u64 = 2500;
/// The longest pause between two changes of the weather.
const BETWEEN_CHANGES: u64 = 600;
/// A longer way than this to the ledger or back could not be told from an unreachable one, by the shortest bounds.
const LONGEST_WAY: u64 = 120;

/// splitmix64: every seed gives the same choices.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index")
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// One of these, the first ones rather than the last.
    pub fn favour<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let end = self.index(items.len()) + 1;
        self.pick(&items[..end])
    }

    pub fn location(&mut self) -> &'static str {
        LOCATIONS[self.index(LOCATIONS.len())]
    }

    pub fn pause(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.below(most)));
    }
}

/// What all threads of a storm share.
struct Storm {
    lab: Lab,
    kept: Vec<Kept>,
    history: Mutex<History>,
    ends: Moment,
    requests: AtomicUsize,
    refused_purges: AtomicUsize,
}

impl Storm {
    fn start(layout: Layout, lasts: Duration, seed: u64) -> Self {
        let lab = layout.tenants(&TENANTS).isolates(ISOLATES).start();
        let routes = |kept: &Kept| ROUTES.iter().position(|route| *route == kept.route);
        let mut kept: Vec<_> = all_kept().into_iter().filter(|kept| routes(kept).is_some()).collect();
        kept.sort_by_key(routes);
        for (number, kept) in (300..).zip(&kept) {
            let grouped = GROUPED.contains(&kept.route);
            let random = Mutex::new(Random(seed + number));
            lab.origin().script(&kept.target, move |request, _| moody(dated(request), grouped, &mut lock(&random)));
        }
        let (requests, refused_purges) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { lab, kept, history: Mutex::default(), ends: now() + lasts, requests, refused_purges }
    }

    fn goes_on(&self) -> bool {
        now() < self.ends
    }

    /// One request, written down.
    fn request(&self, tenant: usize, location: &str, isolate: usize, target: &str) {
        let (served, _) = ask(self.lab.at(location).tenant(tenant).isolate(isolate), target);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(served) = served {
            let asked = Figure { tenant: TENANTS[tenant].to_owned(), target: target.to_owned() };
            lock(&self.history).serve(asked, served);
        }
    }

    /// Asks for anything, anywhere.
    fn client(&self, mut random: Random) {
        while self.goes_on() {
            let (tenant, isolate) = (random.index(TENANTS.len()), random.index(ISOLATES));
            self.request(tenant, random.location(), isolate, &random.favour(&self.kept).target);
            random.pause(PAUSE);
        }
    }

    /// Purges anything of a tenant, from anywhere, and asks everywhere just after it is to be in force.
    fn purger(&self, tenant: usize, mut random: Random) {
        std::thread::scope(|scope| {
            while self.goes_on() {
                let (mode, body, targets) = self.some_purge(&mut random);
                let at = self.lab.at(random.location()).tenant(tenant).isolate(random.index(ISOLATES));
                let answer = at.ask(&purge_call(OPERATOR_TOKEN, body.to_string()));
                if answer.status == 202 {
                    let receipt = Receipt::read(&answer.json(), targets);
                    assert_eq!((receipt.tenant.as_str(), receipt.mode.as_str()), (TENANTS[tenant], mode));
                    lock(&self.history).promise(receipt.clone());
                    let target = random.pick(&receipt.targets.iter().cloned().collect::<Vec<_>>()).clone();
                    scope.spawn(move || self.probe(tenant, &receipt, &target));
                } else {
                    // The way to the ledger was too long: nothing was promised.
                    assert_eq!(answer.status, 503, "{body}: {}", answer.text());
                    self.refused_purges.fetch_add(1, Ordering::Relaxed);
                }
                // Now and then several purges come at once.
                if random.below(4) > 0 {
                    random.pause(BETWEEN_PURGES);
                }
            }
        });
    }

    /// Asks each isolate for a purged target as soon as the purge is to be in force, unless the storm is over then.
    fn probe(&self, tenant: usize, receipt: &Receipt, target: &str) {
        if receipt.effective_by < self.ends {
            wait_until_after(receipt.effective_by);
            for location in LOCATIONS {
                (0..ISOLATES).for_each(|isolate| self.request(tenant, location, isolate, target));
            }
        }
    }

    /// A mode, a purge of it, and the targets that it covers.
    fn some_purge(&self, random: &mut Random) -> (&'static str, Value, BTreeSet<String>) {
        let mode = *random.pick(&["hard", "soft", "hard", "soft", "erase"]);
        let chosen = random.favour(&self.kept);
        let tag = *random.pick(&TAGS);
        let (body, covers): (Value, &dyn Fn(&Kept) -> bool) = match random.below(8) {
            0 => (json!({"all": true}), &|_| true),
            1 => (json!({"classes": [chosen.class]}), &|kept| kept.class == chosen.class),
            2 => (json!({"keys": [chosen.key]}), &|kept| kept.key == chosen.key),
            3 | 4 => (json!({"urls": [chosen.target]}), &|kept| kept.target == chosen.target),
            5 => (json!({"tags": [tag]}), &|kept| tags_of(kept).contains(&tag)),
            _ => (json!({"routes": [chosen.route]}), &|kept| kept.route == chosen.route),
        };
        let mut body = body;
        body["mode"] = mode.into();
        (mode, body, self.kept.iter().filter(|kept| covers(kept)).map(|kept| kept.target.clone()).collect())
    }

    /// Stores and ways get worse and better.
    fn weather(&self, mut random: Random) {
        let mut late: Vec<Gate> = Vec::new();
        while self.goes_on() {
            let location = random.location();
            let (edge, kv) = (self.lab.at(location).cache_face().faults(), self.lab.at(location).kv_face().faults());
            let faults = *random.pick(&[edge, kv]);
            let way = Duration::from_millis(random.below(LONGEST_WAY));
            match random.below(9) {
                0 => self.lab.clear_edge(location),
                1 => self.lab.delay_ledger(location, way),
                2 => self.lab.delay_ledger_answer(location, way),
                3 => self.lab.delay_origin_answer(location, way),
                4 => faults.set_for(Op::Put, "", Fault::Lose, 5),
                5 => faults.set_for(Op::Put, "", Fault::Status(500), 3),
                6 => faults.set_for(Op::Get, "", Fault::Stale, 10),
                7 => faults.set_for(Op::Get, "", Fault::Slow(way), 10),
                _ => {
                    let gate = Gate::new();
                    faults.set_for(Op::Put, "", Fault::LandLate(gate.clone()), 5);
                    late.push(gate);
                }
            }
            // What was put lands long after.
            if late.len() > 3 {
                late.remove(0).open();
            }
            random.pause(BETWEEN_CHANGES);
        }
        late.iter().for_each(Gate::open);
    }

    /// Runs it to its end, and judges.
    fn run(self, seed: u64) {
        std::thread::scope(|scope| {
            let storm = &self;
            for number in 0..CLIENTS as u64 {
                scope.spawn(move || storm.client(Random(seed + number)));
            }
            for tenant in 0..TENANTS.len() {
                scope.spawn(move || storm.purger(tenant, Random(seed + 100 + tenant as u64)));
            }
            scope.spawn(move || storm.weather(Random(seed + 200)));
        });
        let history = lock(&self.history);
        say(&self.report(&history));
        let judged = |receipt: &&Receipt| receipt.effective_by < self.ends;
        assert!(history.receipts().iter().filter(judged).count() > 0, "no receipt was judged");
        assert!(history.all_served().any(|served| served.status.contains("hit")), "nothing was a hit");
        history.holds();
    }

    /// How long was promised and how long it really took, by mode and class.
    fn report(&self, history: &History) -> String {
        let class = |target: &str| self.kept.iter().find(|kept| kept.target == target).map_or("", |kept| kept.class);
        let mut kinds: BTreeMap<(&str, &str), Seen> = BTreeMap::new();
        for receipt in history.receipts() {
            for target in &receipt.targets {
                let seen = kinds.entry((&receipt.mode, class(target))).or_default();
                seen.promised.push(receipt.promised());
                seen.last.extend(Some(history.last_seen(receipt, target)).filter(|last| !last.is_zero()));
            }
        }
        let purges = history.receipts().len();
        let mut report = format!(
            "{} requests, {} with a figure, {} excused; {purges} purges confirmed, {} not; {} questions at the origin\n",
            self.requests.load(Ordering::Relaxed),
            history.all_served().count(),
            history.all_served().filter(|served| served.is_excused()).count(),
            self.refused_purges.load(Ordering::Relaxed),
            self.lab.origin().total(),
        );
        report.push_str(" mode class           targets  older seen: for (ms) p50     p90     p99     max  promised\n");
        for ((mode, class), mut seen) in kinds {
            seen.promised.sort_unstable();
            seen.last.sort_unstable();
            let [p50, p90, p99, most] = [50, 90, 99, 100].map(|percent| part(&seen.last, percent));
            let (least, longest) = (part(&seen.promised, 0), part(&seen.promised, 100));
            let (targets, older) = (seen.promised.len(), seen.last.len());
            let _infallible = writeln!(
                report,
                "{mode:>5} {class:<15} {targets:>7} {older:>11}: {p50:>12} {p90:>7} {p99:>7} {most:>7}  {least}..{longest}"
            );
        }
        report
    }
}

/// Of a mode and a class, for each target of each receipt: how long was promised, and how long after the increment an
/// older body was last seen, if one was.
#[derive(Default)]
struct Seen {
    promised: Vec<Duration>,
    last: Vec<Duration>,
}

/// The value, in milliseconds, below which so many percent of these lie; they are in order.
fn part(of: &[Duration], percent: usize) -> u128 {
    of.len().checked_sub(1).map_or(0, |last| of[last * percent / 100].as_millis())
}

/// The answer of an origin that is sometimes slow, and sometimes fails.
fn moody(answer: Answer, grouped: bool, random: &mut Random) -> Answer {
    let answer = if grouped { answer.field("Cache-Groups", &format!("\"{GROUP}\"")) } else { answer };
    let wait = Wait::For(Duration::from_millis(random.below(30)));
    match random.below(50) {
        0 => Answer::empty(503),
        1..=4 => answer.wait_before_head(Wait::For(Duration::from_millis(200 + random.below(800)))),
        5..=8 => answer.wait_in_body(10, Wait::For(Duration::from_millis(200 + random.below(800)))),
        _ => answer.wait_before_head(wait),
    }
}

/// What a target is tagged with: by its rule, and by the origin.
fn tags_of(kept: &Kept) -> Vec<&'static str> {
    let (_, stored) = hotrod_edge::rules::compiled()
        .stored()
        .find(|(route, _)| route.name == kept.route)
        .expect("a kept answer has a route");
    let by_rule = TAGS.into_iter().filter(|tag| stored.tags.iter().any(|name| name == tag));
    by_rule.chain(GROUPED.contains(&kept.route).then_some(GROUP)).collect()
}

/// Past what the test runner captures, since it is of interest when all is well.
pub fn say(text: &str) {
    writeln!(io::stderr(), "{text}").expect("standard error is open");
}

/// Seconds, of the ordinary tests or of the long ones.
fn lasts(ordinary: u64, long: u64) -> Duration {
    let is_long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    Duration::from_secs(if is_long { long } else { ordinary })
}

/// The seed is another one in each run, and is printed.
fn storm(layout: Layout, lasts: Duration) {
    let seed = std::env::var("HOTROD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| now().as_secs());
    say(&format!("HOTROD_SEED={seed}"));
    Storm::start(layout, lasts, seed).run(seed);
}

#[test]
fn no_receipt_is_broken_in_a_storm() {
    storm(Layout::new().remembering().var("SNAPSHOT_AT_MOST_MS", "500"), lasts(12, 60));
}

#[test]
fn no_receipt_is_broken_in_a_storm_with_the_bounds_of_the_rules() {
    storm(Layout::new().remembering(), lasts(10, 600));
}
