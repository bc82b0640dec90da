//! A client: sends one request to a location, and sees all of the answer.

use crate::fakes::{Asking, Bytes, DAY, Location};
use crate::tasks::Task;
use hotrod_edge::after::finish;
use hotrod_edge::answer::{Answer, Made};
use hotrod_edge::pipeline::serve;
use hotrod_edge::ports::Body;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// An answer, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    pub lines: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body ended before its time.
    pub cut: bool,
    /// How many requests reached the origin meanwhile.
    pub origin_requests: usize,
}

impl Seen {
    fn of(answer: Answer<Location>) -> Self {
        let bytes = |body: Bytes| (body.bytes.to_vec(), body.cut);
        let (status, lines, (body, cut)) = match answer {
            Answer::Made(Made { status, fields, body }) => {
                let body = match body {
                    Body::Empty => (Vec::new(), false),
                    Body::Bytes(content) => (content.to_vec(), false),
                    Body::Stream(body) => bytes(body),
                };
                (status, fields.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(), body)
            }
            Answer::Passed { response, edits } => {
                (response.status, crate::fakes::edited(response.lines, &edits), bytes(response.body))
            }
        };
        Self { status, lines, body, cut, origin_requests: 0 }
    }

    /// A field's only line. Two lines of a name that the edge makes are a mistake.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter().filter(|(other, _)| other == name);
        let first = lines.next().map(|(_, value)| value.as_str());
        assert_eq!(lines.next(), None, "`{name}` is there twice");
        first
    }

    /// The edge's member of Cache-Status, without its name.
    #[track_caller]
    pub fn cache_status(&self) -> &str {
        let field = self.field("cache-status").unwrap_or_default();
        field.rsplit(", ").next().and_then(|member| member.strip_prefix("hotrod-edge; ")).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A time in a receipt, in milliseconds.
    #[track_caller]
    pub fn time(&self, name: &str) -> u64 {
        let receipt = self.json();
        let text = receipt[name].as_str().unwrap_or_else(|| panic!("{name} is in the receipt {receipt}"));
        let (day, time) = text.trim_end_matches('Z').split_once('T').expect("RFC 3339");
        let number = |text: &str| text.parse::<u64>().expect("digits");
        let (_, day) = day.rsplit_once('-').expect("year, month, day");
        let parts: Vec<u64> = time.split([':', '.']).map(number).collect();
        let [hours, minutes, seconds, millis] = parts[..] else { panic!("{text} has milliseconds") };
        // Tests begin on the last day of a month; the next one is the first of another.
        let days = if number(day) == 31 { 0 } else { number(day) };
        DAY + (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + millis
    }

    /// Which of the origin's usual answers this is.
    pub fn serial(&self) -> Option<u64> {
        self.json()["data"]["serial"].as_u64()
    }
}

/// A request under way: its answer may be there before its later work is done.
pub struct Open {
    task: Task<()>,
    answer: Rc<RefCell<Option<Seen>>>,
}

impl Open {
    pub fn new(location: &Rc<Location>, request: Asking) -> Self {
        let answer: Rc<RefCell<Option<Seen>>> = Rc::default();
        let (location, slot) = (location.clone(), Rc::clone(&answer));
        let task = Task::new(async move {
            let served = serve(&*location, request).await;
            slot.replace(Some(Seen::of(served.answer)));
            finish(&*location, served.after).await;
        });
        Self { task, answer }
    }

    /// Moves on by one step. Whether it has come to its end.
    pub fn poll(&mut self) -> bool {
        self.task.poll().is_some()
    }

    /// Moves on as far as it gets. Whether it has come to its end.
    pub fn run(&mut self) -> bool {
        self.task.run().is_some()
    }

    /// The answer, as soon as it is there.
    pub fn answer(&self) -> Option<Seen> {
        self.answer.borrow().clone()
    }
}

/// Sends a request, and does what was left for later.
#[track_caller]
pub fn ask(location: &Rc<Location>, request: Asking) -> Seen {
    let before = location.world.origin.count();
    let mut open = Open::new(location, request);
    assert!(open.run(), "nothing holds the request, so it ends");
    let answer = open.answer().expect("an answer comes before what is left for later");
    Seen { origin_requests: location.world.origin.count() - before, ..answer }
}

/// By GET.
#[track_caller]
pub fn get(location: &Rc<Location>, url: &str) -> Seen {
    ask(location, Asking::get(url))
}
