//! Sends what is due when it is due, however long answers take, and notes what came back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Clock;
use super::receipt::Receipt;
use super::schedule::{Due, What};
use crate::cache_status::{CacheStatus, parse};
use crate::client::{Call, Response};
use crate::gate::lock;
use crate::harness::TENANT;
use crate::stored::Kept;
use crate::{At, Lab, webhook};

/// So many answers may be waited for at once before what is due has to wait.
const CONNECTIONS: usize = 64;

/// What a look at a figure showed. Moments are in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) figure: Kept,
    pub(super) began: u64,
    pub(super) status: u16,
    pub(super) cache_status: CacheStatus,
    /// When the origin was asked for what the reader now sees.
    pub(super) asked_at: Option<u64>,
}

/// How an event was answered.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) took: Duration,
    pub(super) receipt: Option<Receipt>,
}

/// All that came back.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) looks: Vec<Look>,
    pub(super) told: Vec<Told>,
    /// The most by which something was sent too late.
    pub(super) late: Duration,
}

impl Load {
    pub(super) fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.told.iter().filter_map(|told| told.receipt.as_ref())
    }
}

/// What an operator's browser has of a figure.
#[derive(Clone, Debug)]
struct Copy {
    etag: String,
    asked_at: Option<u64>,
}

/// Everybody who sends.
pub(super) struct Client<'a> {
    locations: Vec<At<'a>>,
    figures: &'a [Kept],
    clock: Clock,
    /// By operator and figure.
    copies: Mutex<HashMap<(usize, usize), Copy>>,
}

impl<'a> Client<'a> {
    pub(super) fn new(lab: &'a Lab, locations: &[&str], figures: &'a [Kept]) -> Self {
        let locations = locations.iter().map(|location| lab.at(location)).collect();
        Self { locations, figures, clock: Clock::now(), copies: Mutex::default() }
    }

    /// Sends all of it, in order.
    pub(super) fn run(&self, schedule: &[Due]) -> Load {
        let (started, next, load) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Load::default()));
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    while let Some(due) = schedule.get(next.fetch_add(1, Ordering::Relaxed)) {
                        thread::sleep(due.at.saturating_sub(started.elapsed()));
                        let late = started.elapsed().saturating_sub(due.at);
                        self.send(due, &load);
                        let mut load = lock(&load);
                        load.late = load.late.max(late);
                    }
                });
            }
        });
        load.into_inner().expect("a thread that panics ends the run")
    }

    /// Looks at every figure in every location.
    pub(super) fn look_everywhere(&self) -> Vec<Look> {
        let figures = 0..self.figures.len();
        figures.flat_map(|figure| self.locations.iter().map(move |at| self.look(*at, figure, None))).collect()
    }

    fn send(&self, due: &Due, load: &Mutex<Load>) {
        let at = self.locations[due.location];
        match due.what {
            What::Event(number) => {
                let answer = at.ask(&webhook::event(TENANT, &format!("storm-{number}"), super::EVENT));
                let receipt = Receipt::read(&answer.json());
                lock(load).told.push(Told { status: answer.status, took: answer.ended - answer.started, receipt });
            }
            What::Look { figure, operator } => {
                let look = self.look(at, figure, operator);
                lock(load).looks.push(look);
            }
        }
    }

    fn look(&self, at: At<'_>, figure: usize, operator: Option<usize>) -> Look {
        let kept = &self.figures[figure];
        let copy = operator.and_then(|operator| lock(&self.copies).get(&(operator, figure)).cloned());
        let mut call = Call::get(&kept.target);
        if let Some(copy) = &copy {
            call = call.field("If-None-Match", &copy.etag);
        }
        let answer = at.ask(&call);
        let asked_at = match copy {
            Some(copy) if answer.status == 304 => copy.asked_at,
            _ => answer.json()["data"]["asked_at"].as_u64(),
        };
        if let (Some(operator), 200, Some(etag)) = (operator, answer.status, answer.field("ETag")) {
            lock(&self.copies).insert((operator, figure), Copy { etag: etag.to_owned(), asked_at });
        }
        Look {
            figure: kept.clone(),
            began: self.clock.unix_millis_at(answer.started),
            status: answer.status,
            cache_status: cache_status(&answer),
            asked_at,
        }
    }
}

/// What the edge says of an answer; nothing if it says nothing that can be read.
fn cache_status(answer: &Response) -> CacheStatus {
    let list = answer.field("Cache-Status").and_then(|value| parse(value).ok());
    list.and_then(|mut list| list.pop()).unwrap_or_default()
}
