//! One execution: what may happen next, and what happens when it does.

use super::plan::{Budget, Fault, Kit, Plan, Task};
use super::promise::{Asked, Note, Promises};
use crate::client::Open;
use crate::fakes::{GetFault, LedgerFault, Location, OriginFault, Point, PutFault, TENANT, Waiting, World};
use hotrod_edge::key::Tenant;
use hotrod_edge::ledger::line::Line;
use hotrod_edge::time::UnixMillis;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::rc::Rc;

/// So many tasks are under way at once.
const ACTORS: usize = 3;
/// After so long a question to the origin is given up.
const ORIGIN_TIMEOUT_MS: u64 = 10_000;

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next task begins.
    Begin,
    /// An operation happens, as it should or not.
    Pass(Waiting, Option<Fault>),
    /// The clock moves to this time.
    Time(u64),
    /// Something happens to a place or to the ledger, by nobody's doing.
    Strike(Fault, usize),
}

/// A step, and what it leaves of the budget.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    pub step: Step,
    pub left: Budget,
}

/// A task under way.
struct Actor {
    task: &'static Task,
    open: Open,
    answered: bool,
    ended: bool,
    asked: Asked,
}

/// An execution, as far as it has come.
pub struct Run {
    plan: &'static Plan,
    world: Rc<World>,
    locations: [Rc<Location>; 3],
    actors: Vec<Actor>,
    promises: Promises,
    /// A ledger that lost its memory is as it was, if it is right.
    restarts: usize,
    /// Who moved last.
    turn: usize,
    pub left: Budget,
    /// How the answers were labelled.
    pub labels: Vec<String>,
    /// The steps so far, in words, if somebody wants them.
    pub log: Option<Vec<String>>,
}

impl Run {
    pub fn new(plan: &'static Plan, kit: Kit, budget: Budget) -> Self {
        let world = World::new();
        // The ledger is older than everything that happens here.
        let object = world.object(&tenant());
        let opened = object.desk.borrow_mut().counters(&object.disk, UnixMillis(world.now()), None);
        opened.expect("a disk in memory");
        world.pass(10_000);
        let location = || match kit {
            Kit::Stores => Location::new(&world),
            Kit::Everything => Location::with_everything(&world),
        };
        let first = location();
        let locations = [first.clone(), Location::beside(&first), location()];
        for task in plan.before {
            let (location, request) = task.begin(&locations, None);
            assert!(Open::new(location, request).run(), "nothing holds what happens before");
        }
        world.gates.close();
        let mut promises = Promises::default();
        promises.note(&Note::of(&world));
        let (actors, turn) = (Vec::new(), usize::MAX);
        Self {
            plan,
            world,
            locations,
            actors,
            promises,
            restarts: 0,
            turn,
            left: budget,
            labels: Vec::new(),
            log: None,
        }
    }

    /// What may happen next, the least surprising first.
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let waiting = self.world.gates.waiting();
        let goes_on = waiting.iter().any(|waiting| waiting.actor == self.turn);
        let mut offer = |step, left: Option<Budget>| choices.extend(left.map(|left| Choice { step, left }));
        let switched = if goes_on { self.left.switch() } else { Some(self.left) };
        let own = waiting.iter().filter(|waiting| waiting.actor == self.turn).map(|own| (*own, Some(self.left)));
        let others = waiting.iter().filter(|waiting| waiting.actor != self.turn).map(|other| (*other, switched));
        for (waiting, left) in own.chain(others) {
            offer(Step::Pass(waiting, None), left);
            for fault in self.plan.faults.iter().filter(|fault| fault.befalls(waiting.point)) {
                offer(Step::Pass(waiting, Some(*fault)), left.and_then(Budget::fault));
            }
        }
        let open = self.actors.iter().filter(|actor| !actor.ended).count();
        let to_come = self.actors.len() < self.plan.tasks.len();
        if to_come && open < ACTORS {
            offer(Step::Begin, switched);
        }
        // What comes after the last answer is seen by nobody: it only has to end.
        let is_watched = to_come || self.actors.iter().any(|actor| !actor.answered);
        if is_watched {
            for at in self.instants() {
                offer(Step::Time(at), self.left.time());
            }
            for fault in self.plan.faults {
                for place in fault.places() {
                    offer(Step::Strike(*fault, *place), self.left.fault());
                }
            }
        }
        // Whoever only waits for time to pass gets it.
        if waiting.is_empty()
            && open > 0
            && let Some(at) = self.world.gates.next_alarm(self.world.now())
        {
            offer(Step::Time(at), Some(self.left));
        }
        choices.truncate(if is_watched { choices.len() } else { 1 });
        choices
    }

    /// The times at which something may turn.
    fn instants(&self) -> BTreeSet<u64> {
        let now = self.world.now();
        let asked_at: Vec<u64> =
            self.locations.iter().flat_map(|location| location.asked_at()).map(|at| at.0).collect();
        let bounds = self
            .plan
            .tasks
            .iter()
            .filter_map(|task| if let Task::Get { key, .. } = task { Some(key.bound()) } else { None });
        let copies = bounds.flat_map(|bound| asked_at.iter().map(move |at| at + bound));
        let line = self.world.counters(TENANT).and_then(|text| Line::decode(&text));
        let due = line.and_then(|line| line.due());
        let over = self.promises.made.iter().map(|promise| promise.effective_by + 1);
        let spans = self.plan.spans.iter().map(|span| now + span);
        copies.chain(due.map(|at| at.0)).chain(over).chain(spans).filter(|at| *at > now).collect()
    }

    /// Makes one step. What it breaks, if it breaks something.
    pub fn take(&mut self, choice: Choice) -> Result<(), String> {
        self.say(|run| run.shown(choice.step));
        self.left = choice.left;
        match choice.step {
            Step::Begin => self.begin(),
            Step::Pass(waiting, fault) => {
                self.turn = waiting.actor;
                let asked = &mut self.actors[waiting.actor].asked;
                asked.origin_failed |= fault == Some(Fault::OriginFails);
                asked.ledger_failed |= fault == Some(Fault::LedgerFails);
                self.set(fault);
                self.world.gates.open(waiting);
                self.poll(waiting.actor);
                self.set(None);
                if waiting.point == Point::LedgerOrder {
                    self.actors[waiting.actor].asked.since_order.push(Note::of(&self.world));
                }
            }
            Step::Time(at) => self.world.set_now(at),
            Step::Strike(fault, place) => match fault {
                Fault::Eviction => {
                    self.locations[place].edge.clear();
                    self.locations[place].shelf.clear();
                }
                Fault::Restart => {
                    self.world.object(&tenant()).restart();
                    self.restarts += 1;
                }
                Fault::LedgerLost => self.world.forget_ledgers(),
                Fault::LedgerFails | Fault::AnswerLost | Fault::OriginFails | Fault::OldValue | Fault::PutLost => {}
            },
        }
        let note = Note::of(&self.world);
        self.promises.note(&note);
        for actor in &mut self.actors {
            let since = &mut actor.asked.since_order;
            if since.last().is_some_and(|last| *last != note) && !actor.answered {
                since.push(note);
            }
        }
        self.settle()
    }

    fn begin(&mut self) {
        let task = &self.plan.tasks[self.actors.len()];
        let token = self.promises.token().filter(|_| task.insists());
        self.turn = self.actors.len();
        self.world.gates.turn(self.turn);
        let asked = Asked {
            received_at: self.world.now(),
            promises: self.promises.made.len(),
            insists: token.map(|(_, position)| position),
            ..Asked::default()
        };
        let (location, request) = task.begin(&self.locations, token.map(|(token, _)| token));
        let open = Open::new(location, request);
        self.actors.push(Actor { task, open, answered: false, ended: false, asked });
        self.poll(self.turn);
    }

    /// Sets what is wrong with the next operation.
    fn set(&self, fault: Option<Fault>) {
        let world = &self.world;
        world.ledger_fault.set(match fault {
            Some(Fault::LedgerFails) => LedgerFault::Fails,
            Some(Fault::AnswerLost) => LedgerFault::AnswerLost,
            _ => LedgerFault::None,
        });
        world.origin.fault.set(if fault == Some(Fault::OriginFails) { OriginFault::Fails } else { OriginFault::None });
        world.kv.get_fault.set(if fault == Some(Fault::OldValue) { GetFault::Old } else { GetFault::None });
        let put = if fault == Some(Fault::PutLost) { PutFault::Lost } else { PutFault::None };
        for store in self.locations.iter().map(|location| &location.edge).chain([&world.kv]) {
            store.put_fault.set(put);
        }
        for location in &self.locations {
            location.shelf.fails.set(fault == Some(Fault::PutLost));
        }
    }

    fn poll(&mut self, index: usize) {
        self.world.gates.turn(index);
        let actor = &mut self.actors[index];
        actor.ended = actor.ended || actor.open.poll();
    }

    /// Lets everybody come to their next gate, and judges what was answered.
    fn settle(&mut self) -> Result<(), String> {
        loop {
            let before = self.progress();
            for index in 0..self.actors.len() {
                if !self.actors[index].ended {
                    self.poll(index);
                }
            }
            if self.progress() == before {
                break;
            }
        }
        for index in 0..self.actors.len() {
            let actor = &mut self.actors[index];
            if let Some(seen) = actor.open.answer().filter(|_| !actor.answered) {
                actor.answered = true;
                // So long that its question may have been given up.
                actor.asked.origin_failed |= self.world.now() - actor.asked.received_at >= ORIGIN_TIMEOUT_MS;
                self.labels.extend(seen.cache_status().rsplit("; ").next().map(String::from));
                self.say(|_| {
                    let said = seen.serial().map_or(String::new(), |serial| format!(", answer {serial} of the origin"));
                    format!("{index} is answered {} {}{said}", seen.status, seen.cache_status())
                });
                let actor = &self.actors[index];
                let verdict = match *actor.task {
                    Task::Get { at, key, .. } => self.promises.judge(at, key, &actor.asked, &seen),
                    Task::Purge { .. } => self.promises.add(*actor.task, &actor.asked, &seen),
                };
                verdict.map_err(|sentence| format!("{index}: {}: {sentence}", actor.task))?;
            }
        }
        Ok(())
    }

    /// Changes whenever somebody gets on.
    fn progress(&self) -> (Vec<Waiting>, usize) {
        (self.world.gates.waiting(), self.actors.iter().filter(|actor| actor.ended).count())
    }

    /// At the end, everybody has an answer and has done what was left for later.
    pub fn end(&self) -> Result<(), String> {
        match self.actors.iter().position(|actor| !actor.ended || !actor.answered) {
            Some(index) => Err(format!("{index}: {}: it never ends", self.actors[index].task)),
            None => Ok(()),
        }
    }

    /// A digest of everything on which the future depends, but for the budget.
    pub fn state(&self) -> u64 {
        let mut state = DefaultHasher::new();
        self.world.hash(&mut state);
        for location in &self.locations {
            location.hash(&mut state);
        }
        (self.actors.len(), self.turn, self.restarts, &self.promises.made).hash(&mut state);
        for (index, actor) in self.actors.iter().enumerate().filter(|(_, actor)| !actor.ended) {
            (index, self.world.gates.seen_by(index), actor.answered, &actor.asked).hash(&mut state);
        }
        let mut waiting: Vec<_> =
            self.world.gates.waiting().iter().map(|waiting| (waiting.actor, waiting.point)).collect();
        waiting.sort_unstable();
        waiting.hash(&mut state);
        state.finish()
    }

    /// Notes what is happening.
    fn say(&mut self, words: impl FnOnce(&Self) -> String) {
        if self.log.is_some() {
            let words = words(self);
            self.log.get_or_insert_default().push(words);
        }
    }

    fn shown(&self, step: Step) -> String {
        match step {
            Step::Begin => format!("{} begins: {}", self.actors.len(), self.plan.tasks[self.actors.len()]),
            Step::Pass(Waiting { actor, point, .. }, None) => format!("{actor}: {point:?}"),
            Step::Pass(Waiting { actor, point, .. }, Some(fault)) => format!("{actor}: {point:?}, and {fault}"),
            Step::Time(at) => format!("{} ms pass", at - self.world.now()),
            Step::Strike(fault, place) => format!("{fault} ({})", super::plan::PLACES[place]),
        }
    }
}

fn tenant() -> Tenant {
    Tenant::new(TENANT).expect("a tenant")
}
