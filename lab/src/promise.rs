//! The promise that the receipt of a purge makes, and a judge of whether it was kept.
//!
//! No request that is received after a receipt's `effective_by` is answered with a body that the origin was asked for
//! before the increment. Received is a request, for the judge, from the moment before its first byte was written, and
//! a body was asked for when the origin had read the question: both are early, so nobody is accused wrongly. Client,
//! origin and ledger run on one machine and so by one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::cache_status::parse;
use crate::client::{Call, Response};
use crate::locations::At;
use crate::origin::{Answer, Recorded};

/// A point in time, since 1970.
pub type Moment = Duration;

/// Now.
pub fn now() -> Moment {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// Waits until this moment is over.
pub fn wait_until_after(moment: Moment) {
    while now() <= moment {
        std::thread::sleep(moment.saturating_sub(now()) + Duration::from_millis(1));
    }
}

/// Reads a time of a receipt: RFC 3339 in UTC, with milliseconds.
pub fn moment(text: &str) -> Option<Moment> {
    let numbers: Option<Vec<u64>> =
        text.strip_suffix('Z')?.split(['-', 'T', ':', '.']).map(|n| n.parse().ok()).collect();
    let &[year, month, day, hour, minute, second, millis] = numbers?.as_slice() else { return None };
    // A year that begins in March ends with its leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = (days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Duration::from_millis(seconds * 1000 + millis))
}

/// Something that a tenant can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Figure {
    /// Whose it is.
    pub tenant: String,
    /// How it is asked for.
    pub target: String,
}

/// An answer of the origin that says whose figure it is and when it was asked for.
pub fn dated(request: &Recorded) -> Answer {
    let tenant = request.fields.get("X-Shop-Domain").unwrap_or_default();
    Answer::tile(&format!("{} {tenant} {}", now().as_micros(), request.target))
}

/// A body, as [`dated`] made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub figure: Figure,
    /// When the origin was asked for it.
    pub at: Moment,
}

impl Made {
    fn read(body: &Value) -> Option<Self> {
        let mut words = body["fact"]["says"].as_str()?.splitn(3, ' ');
        let at = Duration::from_micros(words.next()?.parse().ok()?);
        let figure = Figure { tenant: words.next()?.to_owned(), target: words.next()?.to_owned() };
        Some(Self { figure, at })
    }
}

/// An answer of the edge that has a figure in it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The name of the Worker that answered.
    pub worker: String,
    /// Before the request was sent.
    pub received: Moment,
    /// What came.
    pub made: Made,
    /// `Cache-Status`.
    pub status: String,
}

impl Served {
    /// True if the answer says that it is stale because the origin failed, or that the ledger could not be asked.
    pub fn is_excused(&self) -> bool {
        let caches = parse(&self.status).unwrap_or_else(|why| panic!("Cache-Status {:?}: {why}", self.status));
        let detail = caches.into_iter().next_back().and_then(|edge| edge.detail).unwrap_or_default();
        matches!(detail.split('/').next(), Some("stale-if-error" | "previous-period")) || detail.ends_with("/ledger")
    }
}

/// What was promised.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// To whom.
    pub tenant: String,
    /// The mode of the purge.
    pub mode: String,
    /// All targets that it covers.
    pub targets: BTreeSet<String>,
    /// When the ledger moved, or will.
    pub incremented_at: Moment,
    /// From when on nothing older is served.
    pub effective_by: Moment,
}

impl Receipt {
    /// Reads a receipt of a purge that covers these targets.
    #[track_caller]
    pub fn read(receipt: &Value, targets: impl IntoIterator<Item = String>) -> Self {
        let text = |name: &str| receipt[name].as_str().unwrap_or_else(|| panic!("no {name}: {receipt}"));
        let time = |name: &str| moment(text(name)).unwrap_or_else(|| panic!("{name} is no time: {receipt}"));
        Self {
            tenant: text("tenant").to_owned(),
            mode: text("mode").to_owned(),
            targets: targets.into_iter().collect(),
            incremented_at: time("incremented_at"),
            effective_by: time("effective_by"),
        }
    }

    /// How long after the increment it is to be in force.
    pub fn promised(&self) -> Duration {
        self.effective_by.saturating_sub(self.incremented_at)
    }
}

/// What was promised and what was served.
#[derive(Clone, Debug, Default)]
pub struct History {
    receipts: Vec<Receipt>,
    served: BTreeMap<Figure, Vec<Served>>,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub enum Violation {
    /// A body from before the increment came to a request after `effective_by`.
    Late(Receipt, Served),
    /// What came is not what was asked for.
    Foreign(Figure, Served),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(receipt, served) => write!(
                formatter,
                "{}: a {} purge was promised {:?} after its increment; {:?} after the increment, a request for {} of {} \
                 got a body from {:?} before it: {}",
                served.worker,
                receipt.mode,
                receipt.promised(),
                served.received.saturating_sub(receipt.incremented_at),
                served.made.figure.target,
                receipt.tenant,
                receipt.incremented_at.saturating_sub(served.made.at),
                served.status
            ),
            Self::Foreign(asked, served) => write!(
                formatter,
                "{}: a request for {} of {} got {} of {}",
                served.worker, asked.target, asked.tenant, served.made.figure.target, served.made.figure.tenant
            ),
        }
    }
}

impl History {
    /// A purge was confirmed.
    pub fn promise(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
    }

    /// A request for this figure was answered.
    pub fn serve(&mut self, asked: Figure, served: Served) {
        self.served.entry(asked).or_default().push(served);
    }

    /// The receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The answers that had a figure in them.
    pub fn all_served(&self) -> impl Iterator<Item = &Served> {
        self.served.values().flatten()
    }

    /// The answers to requests for one figure.
    pub fn served(&self, figure: &Figure) -> &[Served] {
        self.served.get(figure).map_or(&[], Vec::as_slice)
    }

    /// The answers to requests for a target after the increment whose bodies are from before it, without excuse.
    fn older<'a>(&'a self, receipt: &'a Receipt, target: &str) -> impl Iterator<Item = &'a Served> {
        let figure = Figure { tenant: receipt.tenant.clone(), target: target.to_owned() };
        let older = |served: &&Served| {
            served.made.at < receipt.incremented_at && served.received > receipt.incremented_at && !served.is_excused()
        };
        self.served(&figure).iter().filter(older)
    }

    /// After how long a body from before the increment was last seen; zero if it never was.
    pub fn last_seen(&self, receipt: &Receipt, target: &str) -> Duration {
        let after = self.older(receipt, target).map(|served| served.received.saturating_sub(receipt.incremented_at));
        after.max().unwrap_or_default()
    }

    /// Every promise that was not kept.
    pub fn violations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (asked, served) in &self.served {
            let foreign = served.iter().filter(|served| served.made.figure != *asked);
            violations.extend(foreign.map(|served| Violation::Foreign(asked.clone(), served.clone())));
        }
        for receipt in &self.receipts {
            for target in &receipt.targets {
                let late = self.older(receipt, target).filter(|served| served.received > receipt.effective_by);
                violations.extend(late.map(|served| Violation::Late(receipt.clone(), served.clone())));
            }
        }
        violations
    }

    /// Every promise was kept.
    #[track_caller]
    pub fn holds(&self) {
        let violations = self.violations();
        let shown: Vec<_> = violations.iter().take(10).map(Violation::to_string).collect();
        assert!(violations.is_empty(), "{} violations, of which:\n{}", violations.len(), shown.join("\n"));
    }
}

/// Asks a Worker of a tenant for a target. What it served, if the answer has a figure in it, and the answer.
#[track_caller]
pub fn ask(at: At<'_>, target: &str) -> (Option<Served>, Response) {
    let received = now();
    let answer = at.ask(&Call::get(target));
    let made = (answer.status == 200 && answer.cut.is_none()).then(|| Made::read(&answer.json())).flatten();
    let status = answer.fields.all("Cache-Status").join(", ");
    (made.map(|made| Served { worker: at.name(), received, made, status }), answer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hotrod_edge::time::{UnixMillis, rfc3339};
    use serde_json::json;

    use super::{Figure, History, Made, Moment, Receipt, Served, Violation, moment};

    const HIT: &str = "hotrod-edge; hit; ttl=9; detail=edge";

    fn at(millis: u64) -> Moment {
        Duration::from_millis(millis)
    }

    fn figure(tenant: &str, target: &str) -> Figure {
        Figure { tenant: tenant.to_owned(), target: target.to_owned() }
    }

    /// A purge of `/a` of tenant `one` at 1000 that is promised for 1300, and one answer of what was made at some time.
    fn judged(received: u64, made: u64, status: &str) -> History {
        let mut history = History::default();
        let receipt = json!({
            "tenant": "one", "mode": "hard",
            "incremented_at": rfc3339(UnixMillis(1000)), "effective_by": rfc3339(UnixMillis(1300)),
        });
        history.promise(Receipt::read(&receipt, ["/a".to_owned()]));
        let made = Made { figure: figure("one", "/a"), at: at(made) };
        let served = Served { worker: "ams".to_owned(), received: at(received), made, status: status.to_owned() };
        history.serve(figure("one", "/a"), served);
        history
    }

    #[test]
    fn an_older_body_after_the_promised_time_is_a_violation() {
        let history = judged(1301, 999, HIT);
        assert!(matches!(history.violations().as_slice(), [Violation::Late(..)]));
        assert_eq!(history.last_seen(&history.receipts()[0], "/a"), at(301));
        assert!(history.violations()[0].to_string().contains("promised 300ms after"), "{}", history.violations()[0]);
    }

    #[test]
    #[should_panic(expected = "1 violations")]
    fn a_history_with_a_violation_does_not_hold() {
        judged(1301, 999, HIT).holds();
    }

    #[test]
    fn an_older_body_until_then_a_newer_one_and_a_labelled_one_are_none() {
        for (received, made, status, last_seen) in [
            (1300, 999, HIT, 300),
            (900, 500, HIT, 0),
            (1301, 1000, HIT, 0),
            (1301, 999, "hotrod-edge; fwd=stale; ttl=-5; detail=stale-if-error", 0),
            (1301, 999, "origin; hit, hotrod-edge; fwd=stale; detail=previous-period", 0),
            (1301, 999, "hotrod-edge; hit; ttl=5; detail=edge/ledger", 0),
        ] {
            let history = judged(received, made, status);
            history.holds();
            assert_eq!(history.last_seen(&history.receipts()[0], "/a"), at(last_seen), "{received} {made} {status}");
        }
        let labelled_otherwise = judged(1301, 999, "hotrod-edge; hit; ttl=5; detail=edge/invalidated");
        assert_eq!(labelled_otherwise.violations().len(), 1);
    }

    #[test]
    fn a_purge_promises_nothing_of_what_it_does_not_cover() {
        for other in [figure("one", "/b"), figure("two", "/a")] {
            let mut history = judged(1200, 999, HIT);
            let made = Made { figure: other.clone(), at: at(10) };
            let served = Served { worker: "ams".to_owned(), received: at(9000), made, status: HIT.to_owned() };
            history.serve(other, served);
            history.holds();
        }
    }

    #[test]
    fn what_was_not_asked_for_is_a_violation() {
        for asked in [figure("two", "/a"), figure("one", "/b")] {
            let mut history = judged(1200, 1100, HIT);
            let served = history.served(&figure("one", "/a"))[0].clone();
            history.serve(asked, served);
            assert!(matches!(history.violations().as_slice(), [Violation::Foreign(..)]));
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for millis in [951_782_399_999, 951_868_799_001, 951_868_800_000, 1_774_915_200_000, 4_107_542_400_000] {
            assert_eq!(moment(&rfc3339(UnixMillis(millis))), Some(at(millis)));
        }
        assert_eq!((moment("2026-03-31"), moment("2026-03-31T00:00:00.000+01:00")), (None, None));
    }
}
