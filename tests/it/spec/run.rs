//! Runs a scenario, step by step.

use super::check;
use super::schema::{Answer, Faults, Lines, Scenario, Step, Where};
use crate::client::{Open, Seen};
use crate::fakes::{Asking, DAY, Location, Point, Scripted, TENANT, World};
use hotrod_edge::rules::Rules;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What a scenario's steps share.
pub struct Stage {
    pub world: Rc<World>,
    begins: u64,
    /// The compiled ones, if there are no others.
    rules: Option<Rc<Rules>>,
    /// By data centre and isolate.
    locations: BTreeMap<(String, Option<String>), Rc<Location>>,
    /// With where it is held, if it does not wait for another.
    open: BTreeMap<String, (Open, Option<Point>)>,
    /// Each ETag and token by the name that the scenario gave it.
    pub tags: BTreeMap<String, String>,
}

/// Runs all steps, up to the first that does not hold.
pub fn run(scenario: &Scenario, rules: Option<Rc<Rules>>) -> Result<(), String> {
    let Scenario { claim, id, shows: _, begins, steps } = scenario;
    let begins = begins.as_deref().map_or(Ok(12 * 3600), time_of_day).map_err(|wrong| format!("  {id}: {wrong}"))?;
    let world = World::at(begins);
    let mut stage = Stage {
        world,
        begins: DAY + begins * 1000,
        rules,
        locations: BTreeMap::new(),
        open: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    for (number, step) in (1..).zip(steps) {
        stage.step(step).map_err(|wrong| format!("  {id}, step {number}: {wrong}\n    {claim}"))?;
    }
    match stage.open.keys().next() {
        Some(name) => Err(format!("  {id}: `{name}` is left open\n    {claim}")),
        None => Ok(()),
    }
}

/// Seconds since midnight of `23:58:00`.
fn time_of_day(text: &str) -> Result<u64, String> {
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(hours * 3600 + minutes * 60 + seconds),
        _ => Err(format!("`{text}` is not a time of day")),
    }
}

fn millis(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}

impl Stage {
    fn location(&mut self, step: &Step) -> Rc<Location> {
        let name = step.location.as_deref().unwrap_or("here").to_string();
        let new = || Location::with(&self.world, TENANT, self.rules.clone());
        let first = self.locations.entry((name.clone(), None)).or_insert_with(new).clone();
        self.locations.entry((name, step.isolate.clone())).or_insert_with(|| Location::beside(&first)).clone()
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let location = self.location(step);
        if let Some(at) = step.at {
            self.world.set_now(self.begins + millis(at));
        }
        if let Some(answer) = &step.answer {
            script(&self.world, answer);
        }
        if let Some(faults) = &step.fault {
            break_down(&location, faults);
        }
        match step.evict {
            Some(Where::Edge) => location.edge.clear(),
            Some(Where::Kv) => self.world.kv.clear(),
            Some(Where::Counters) => location.shelf.clear(),
            None => {}
        }
        match step.land {
            Some(Where::Edge) => location.edge.land(),
            Some(Where::Kv) => self.world.kv.land(),
            Some(Where::Counters) | None => {}
        }
        let before = self.world.origin.count();
        let asked_before = self.world.ledger_questions.get();
        let seen = match (&step.finish, request(step, &self.tags)) {
            (Some(name), _) => Some(self.finish(name)?),
            (None, Some(request)) => self.send(step, &location, request)?,
            (None, None) => None,
        };
        let reached = self.world.origin.count() - before;
        if let Some(expected) = step.origin.filter(|expected| *expected != reached) {
            return Err(format!("requests that reached the origin: {reached}, and not {expected}; {seen:?}"));
        }
        let asked = self.world.ledger_questions.get() - asked_before;
        if let Some(expected) = step.asked.filter(|expected| *expected != asked) {
            return Err(format!("questions to the ledger: {asked}, and not {expected}; {seen:?}"));
        }
        if let Some(seen) = seen {
            check::answer(step, &seen, &mut self.tags)?;
        }
        check::world(step, &location)
    }

    /// Sends a request. One that is left open has no answer yet.
    fn send(&mut self, step: &Step, location: &Rc<Location>, request: Asking) -> Result<Option<Seen>, String> {
        if let Some(point) = step.until {
            self.world.hold(point);
        }
        let mut open = Open::new(location, request);
        let ended = open.run();
        match (&step.open, step.until) {
            (Some(name), point) if !ended && point.is_none_or(|point| self.world.holds(point)) => {
                self.open.insert(name.clone(), (open, point));
                Ok(None)
            }
            (Some(_), Some(point)) => Err(format!("the request did not come to {point:?}")),
            (Some(_), None) => Err("the request did not wait for another".to_string()),
            _ if ended => Ok(open.answer()),
            _ => Err("the request did not come to its end".to_string()),
        }
    }

    fn finish(&mut self, name: &str) -> Result<Seen, String> {
        let (mut open, point) = self.open.remove(name).ok_or_else(|| format!("`{name}` is not open"))?;
        if let Some(point) = point {
            self.world.release(point);
        }
        if !open.run() {
            return Err(format!("`{name}` did not come to its end"));
        }
        open.answer().ok_or_else(|| format!("`{name}` has no answer"))
    }
}

fn request(step: &Step, tags: &BTreeMap<String, String>) -> Option<Asking> {
    let by = |method: &str, url: &Option<String>| url.as_ref().map(|url| Asking::new(method, url));
    let request = by("GET", &step.get)
        .or_else(|| by("HEAD", &step.head))
        .or_else(|| by("POST", &step.post))
        .or_else(|| step.send.as_ref().map(|[method, url]| Asking::new(method, url)))
        .or_else(|| {
            let mut body = step.purge.clone()?;
            body.entry("mode").or_insert_with(|| "hard".into());
            Some(Asking::purge(serde_json::to_vec(&body).ok()?))
        })?;
    // `{a}` in a field stands for the ETag or token that is called `a`.
    let known = |value: &String| {
        tags.iter().fold(value.clone(), |value, (name, tag)| value.replace(&format!("{{{name}}}"), tag))
    };
    let request = lines(&step.headers).fold(request, |request, (name, value)| request.with(name, &known(value)));
    Some(match &step.content {
        Some(content) => request.sending(content.as_bytes()),
        None => request,
    })
}

/// Each line of each field.
fn lines(fields: &BTreeMap<String, Lines>) -> impl Iterator<Item = (&String, &String)> {
    fields.iter().flat_map(|(name, lines)| lines.each().iter().map(move |line| (name, line)))
}

fn script(world: &World, answer: &Answer) {
    let Answer { status, content_type, headers, not_modified, body, length, takes } = answer;
    let owned = |fields| lines(fields).map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
    let (status, mut lines) = (status.unwrap_or(200), owned(headers));
    let has_content = !matches!(status, 204 | 304);
    match content_type.as_deref() {
        None if has_content => lines.push(("content-type".to_string(), "application/json".to_string())),
        None | Some("") => {}
        Some(other) => lines.push(("content-type".to_string(), other.to_string())),
    }
    let long = length.map(|length| {
        let frame = r#"{"status":"ok","success":true,"filler":""}"#;
        let filler = "x".repeat(length.saturating_sub(frame.len()));
        frame.replace("\"\"", &format!("\"{filler}\"")).into_bytes()
    });
    let none = (!has_content).then(Vec::new);
    let body = body.as_ref().map(|body| body.clone().into_bytes()).or(long).or(none);
    world.origin.scripted.replace(Some(Scripted { status, lines, body }));
    world.origin.not_modified.replace(not_modified.as_ref().map(owned));
    world.origin.takes.set(millis(*takes));
}

fn break_down(location: &Location, faults: &Faults) {
    let Faults { edge_get, edge_put, kv_get, kv_put, ledger, counters, origin } = *faults;
    location.edge.get_fault.set(edge_get);
    location.edge.put_fault.set(edge_put);
    location.world.kv.get_fault.set(kv_get);
    location.world.kv.put_fault.set(kv_put);
    location.shelf.fails.set(counters);
    location.world.ledger_fault.set(ledger);
    location.world.origin.fault.set(origin);
}
