//! Goes through all executions of a plan, depth first.

use super::plan::{Budget, Kit, Plan};
use super::run::{Choice, Run};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// What was gone through.
#[derive(Debug, Default)]
pub struct Explored {
    pub states: usize,
    pub executions: usize,
    pub steps: usize,
    /// Of the longest execution.
    pub depth: usize,
    /// How answers were labelled: the last word of each.
    pub labels: BTreeSet<String>,
}

impl Explored {
    /// Both of them.
    pub fn and(mut self, other: Self) -> Self {
        self.labels.extend(other.labels);
        Self {
            states: self.states + other.states,
            executions: self.executions + other.executions,
            steps: self.steps + other.steps,
            depth: self.depth.max(other.depth),
            labels: self.labels,
        }
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, executions, steps, depth, .. } = self;
        write!(f, "{states} states, {executions} executions of {depth} steps at most, {steps} steps in all")
    }
}

/// An execution that breaks something: its steps, and what it breaks.
#[derive(Debug)]
pub struct Violation {
    pub log: Vec<String>,
    pub sentence: String,
}

/// A place on the way, with what may happen there and which of it is next.
struct Place {
    choices: Vec<Choice>,
    next: usize,
}

/// All executions of a plan within a budget, until one breaks something.
pub fn explore(plan: &'static Plan, kit: Kit, budget: Budget) -> Result<Explored, Violation> {
    let mut explored = Explored::default();
    let mut seen: HashMap<u64, Vec<Budget>> = HashMap::new();
    let mut way: Vec<Place> = Vec::new();
    loop {
        let mut run = Run::new(plan, kit, budget);
        explored.executions += 1;
        explored.steps += way.len();
        let mut outcome = way.iter().try_for_each(|place| run.take(place.choices[place.next]));
        while outcome.is_ok() {
            let budgets = seen.entry(run.state()).or_default();
            if budgets.iter().any(|other| other.holds(run.left)) {
                break;
            }
            explored.states += usize::from(budgets.is_empty());
            budgets.retain(|other| !run.left.holds(*other));
            budgets.push(run.left);
            let choices = run.choices();
            let Some(first) = choices.first().copied() else {
                outcome = run.end();
                break;
            };
            way.push(Place { choices, next: 0 });
            explored.steps += 1;
            explored.depth = explored.depth.max(way.len());
            outcome = run.take(first);
        }
        explored.labels.extend(run.labels);
        if let Err(sentence) = outcome {
            return Err(Violation { log: told(plan, kit, budget, &way), sentence });
        }
        while let Some(place) = way.last_mut() {
            place.next += 1;
            if place.next < place.choices.len() {
                break;
            }
            way.pop();
        }
        if way.is_empty() {
            return Ok(explored);
        }
    }
}

/// An execution once more, in words.
fn told(plan: &'static Plan, kit: Kit, budget: Budget, way: &[Place]) -> Vec<String> {
    let mut run = Run::new(plan, kit, budget);
    run.log = Some(Vec::new());
    // It ends as it did before, with what it breaks.
    _ = way.iter().try_for_each(|place| run.take(place.choices[place.next]));
    run.log.unwrap_or_default()
}

/// The same search within ever greater budgets, so that the first violation is one of few surprises.
pub fn simplest(plan: &'static Plan, kit: Kit, budget: Budget) -> Option<Violation> {
    let Budget { switches, times, faults } = budget;
    let mut budgets: Vec<Budget> = Vec::new();
    for switches in 0..=switches {
        for times in 0..=times {
            budgets.extend((0..=faults).map(|faults| Budget { switches, times, faults }));
        }
    }
    budgets.sort_by_key(|budget| budget.switches + budget.times + budget.faults);
    budgets.into_iter().find_map(|budget| explore(plan, kit, budget).err())
}
