//! When what happens: events in bursts and between them, and the requests of those who look. Always the same.

use std::time::Duration;

use super::{Plan, Readers};

/// So many events come at one moment in a burst. Half of all events come so.
const BURST: usize = 20;

/// Something to be sent, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Duration,
    /// The location, by its place in the plan.
    pub(super) location: usize,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// An event, by its number.
    Event(usize),
    /// A look at a figure, by its place; by an operator, who has seen it before, or by somebody else.
    Look { figure: usize, operator: Option<usize> },
}

/// All that is to be sent, in order.
pub(super) fn schedule(plan: &Plan, figures: usize) -> Vec<Due> {
    let mut random = Random(0x5708_2026);
    let locations = plan.locations.len();
    let mut due = Vec::new();
    let mut burst = Duration::ZERO;
    for number in 0..plan.events {
        let of_burst = number % (2 * BURST);
        if of_burst == 0 {
            burst = random.below_duration(plan.length);
        }
        let at = if of_burst < BURST { burst } else { random.below_duration(plan.length) };
        due.push(Due { at, location: number % locations, what: What::Event(number) });
    }
    match plan.readers {
        Readers::Operators { count, every } => {
            for operator in 0..count {
                let mut at = random.below_duration(every);
                while at < plan.length {
                    let look = |figure| What::Look { figure, operator: Some(operator) };
                    let location = operator % locations;
                    due.extend((0..figures).map(|figure| Due { at, location, what: look(figure) }));
                    at += every;
                }
            }
        }
        Readers::Visitors { per_second } => {
            let between = Duration::from_secs(1) / per_second;
            let mut at = Duration::ZERO;
            while at < plan.length {
                let what = What::Look { figure: random.below(figures), operator: None };
                due.push(Due { at, location: random.below(locations), what });
                at += between;
            }
        }
    }
    due.sort_by_key(|due| due.at);
    due
}

/// Numbers that look random and are always the same (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("an index");
        usize::try_from(self.next() % end).expect("below an index")
    }

    fn below_duration(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).expect("a run is short");
        Duration::from_micros(self.next() % micros)
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, What, schedule};

    #[test]
    fn a_storm_has_all_its_events_and_looks_in_order() {
        for (plan, looks) in [(Plan::OPERATORS, 20 * 4 * 6), (Plan::VISITORS, 6000), (Plan::QUICK, 200)] {
            let due = schedule(&plan, 6);
            let mut events: Vec<_> = due
                .iter()
                .filter_map(|due| if let What::Event(number) = due.what { Some(number) } else { None })
                .collect();
            assert_eq!(due.len() - events.len(), looks, "{}", plan.name);
            events.sort_unstable();
            assert_eq!(events, (0..plan.events).collect::<Vec<_>>(), "{}", plan.name);
            assert!(due.is_sorted_by_key(|due| due.at) && due.iter().all(|due| due.at < plan.length), "{}", plan.name);
            let at_once = due.chunk_by(|one, next| one.at == next.at).map(<[_]>::len).max();
            assert!(at_once >= Some(20), "{}: bursts of {at_once:?}", plan.name);
        }
    }
}
