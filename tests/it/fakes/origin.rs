//! The origin: it answers every path with a body that says which answer this is, unless told otherwise.

use super::message::{FakeResponse, Lines};
use super::{Asking, Bytes, Content, Point, World};
use crate::tasks::until;
use hotrod_edge::ports::{Edits, Failure, Field, Origin, Read};
use hotrod_edge::received::is_error;
use serde::Deserialize;
use serde_json::json;
use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// What is wrong with the origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginFault {
    #[default]
    None,
    /// No answer.
    Fails,
    /// The body is cut short.
    Cut,
    /// The connection is there, and nothing ever comes.
    Hangs,
    /// The header fields come, and then nothing more.
    Stalls,
}

/// A request that arrived at the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub url: String,
    pub lines: Lines,
    pub content: Content,
}

impl Asked {
    /// A field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn echo(&self) -> Vec<u8> {
        let lines: Vec<_> = self.lines.iter().filter(|(name, _)| name != "x-request-id").collect();
        let data = json!({ "method": self.method, "url": self.url, "lines": lines });
        json!({ "status": "ok", "success": true, "data": data }).to_string().into_bytes()
    }
}

/// An answer in place of the usual one.
#[derive(Debug, Clone)]
pub struct Scripted {
    pub status: u16,
    pub lines: Lines,
    /// The usual body, if there is none.
    pub body: Option<Vec<u8>>,
}

/// A question that the origin answered with an error, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub url: String,
    /// When it answered.
    pub at: u64,
    /// Whether it said for how long it is to be left alone.
    pub says_for_how_long: bool,
}

/// What the origin does, and what it was asked.
#[derive(Default)]
pub struct Script {
    pub fault: Cell<OriginFault>,
    /// Those of the next requests, in order, in place of that one.
    pub faults: RefCell<VecDeque<OriginFault>>,
    /// For every path, until it is taken away.
    pub scripted: RefCell<Option<Scripted>>,
    /// The fields of the 304 that whoever asks with a condition is answered in its place.
    pub not_modified: RefCell<Option<Lines>>,
    /// Whether the usual body says all that the origin was asked, but for the request id.
    pub echoes: Cell<bool>,
    /// Between a request and its answer, in milliseconds.
    pub takes: Cell<u64>,
    asked: RefCell<Vec<Asked>>,
    failed: RefCell<Vec<Failed>>,
    given_up: RefCell<Vec<u64>>,
}

impl Script {
    fn next_fault(&self) -> OriginFault {
        self.faults.borrow_mut().pop_front().unwrap_or(self.fault.get())
    }

    pub fn count(&self) -> usize {
        self.asked.borrow().len()
    }

    /// All that it was asked, in order.
    pub fn seen(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Those that it failed, in order.
    pub fn failed(&self) -> Ref<'_, [Failed]> {
        Ref::map(self.failed.borrow(), Vec::as_slice)
    }

    /// When somebody stopped waiting for an answer, or for its body, or met the end of one that was cut.
    pub fn given_up(&self) -> Ref<'_, [u64]> {
        Ref::map(self.given_up.borrow(), Vec::as_slice)
    }

    pub fn last(&self) -> Option<Asked> {
        self.asked.borrow().last().cloned()
    }

    /// The body of the answer to the request of that number, from 1.
    pub fn body(serial: usize, url: &str) -> Vec<u8> {
        let data = json!({ "serial": serial, "url": url, "generated_at": format!("at {serial}") });
        json!({ "status": "ok", "success": true, "data": data }).to_string().into_bytes()
    }
}

/// Notes if whoever waits for something of the origin's stops doing so.
struct Waiting<'a> {
    world: &'a World,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.world.origin.given_up.borrow_mut().push(self.world.now());
        }
    }
}

/// Waits for something of the origin's.
async fn waited<T>(world: &World, future: impl Future<Output = T>) -> T {
    let mut waiting = Waiting { world, is_over: false };
    let value = future.await;
    waiting.is_over = true;
    value
}

/// The origin as the path sees it.
pub struct FakeOrigin(pub Rc<World>);

fn failure() -> Failure {
    Failure("the origin does not answer".to_string())
}

impl FakeOrigin {
    async fn answer(&self, asked: Asked) -> Result<FakeResponse, Failure> {
        let script = &self.0.origin;
        self.0.arrive(Point::OriginAsked).await;
        script.asked.borrow_mut().push(asked.clone());
        let serial = script.count();
        let fault = script.next_fault();
        self.0.gates.saw((serial, fault == OriginFault::None));
        let conditional = asked.header("if-none-match").or_else(|| asked.header("if-modified-since")).is_some();
        let not_modified = script.not_modified.borrow().clone().filter(|_| conditional);
        let not_modified = not_modified.map(|lines| Scripted { status: 304, lines, body: Some(Vec::new()) });
        let scripted = not_modified.or_else(|| script.scripted.borrow().clone());
        self.0.pass(script.takes.get());
        self.0.arrive(Point::OriginAnswer).await;
        let is_error = scripted.as_ref().is_some_and(|scripted| is_error(scripted.status));
        if is_error || ![OriginFault::None, OriginFault::Hangs].contains(&fault) {
            let said = |scripted: &Scripted| scripted.lines.iter().any(|(name, _)| name == "retry-after");
            let says_for_how_long = scripted.as_ref().is_some_and(said);
            script.failed.borrow_mut().push(Failed { url: asked.url.clone(), at: self.0.now(), says_for_how_long });
        }
        match fault {
            OriginFault::Fails => return Err(failure()),
            OriginFault::Hangs => until(|| false).await,
            OriginFault::None | OriginFault::Cut | OriginFault::Stalls => {}
        }
        let Scripted { status, lines, body } = scripted.unwrap_or_else(|| Scripted {
            status: 200,
            lines: vec![("content-type".to_string(), "application/json".to_string())],
            body: None,
        });
        let usual = || if script.echoes.get() { asked.echo() } else { Script::body(serial, &asked.url) };
        let bytes = body.unwrap_or_else(usual).into();
        Ok(FakeResponse {
            status,
            lines,
            body: Bytes { bytes, cut: fault == OriginFault::Cut, stalls: fault == OriginFault::Stalls },
        })
    }
}

impl Origin for FakeOrigin {
    type Body = Bytes;
    type Request = Asking;
    type Response = FakeResponse;

    async fn fetch(&self, url: &str, fields: &[Field], _as_encoded: bool) -> Result<FakeResponse, Failure> {
        let lines = fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let content = Content::Whole(Vec::new());
        let asked = Asked { method: "GET".to_string(), url: url.to_string(), lines, content };
        waited(&self.0, self.answer(asked)).await
    }

    async fn forward(&self, request: Asking, url: &str, edits: &Edits) -> Result<FakeResponse, Failure> {
        let lines = edited(request.lines, edits);
        self.answer(Asked { method: request.method, url: url.to_string(), lines, content: request.content }).await
    }

    async fn read(&self, body: Bytes, at_most: usize) -> Result<Read<Bytes>, Failure> {
        self.0.arrive(Point::OriginBody).await;
        if body.bytes.len() > at_most {
            return Ok(Read::Longer(body));
        }
        if body.cut { Err(failure()) } else { Ok(Read::Whole(body.bytes.to_vec())) }
    }

    async fn receive(&self, body: Bytes, at_most: usize, pause: u64) -> Result<Option<Read<Bytes>>, Failure> {
        if body.stalls {
            let end = self.0.now() + pause;
            waited(&self.0, until(|| self.0.now() >= end)).await;
            self.0.origin.given_up.borrow_mut().push(self.0.now());
            return Ok(None);
        }
        let read = waited(&self.0, self.read(body, at_most)).await;
        read.map(Some).inspect_err(|_| self.0.origin.given_up.borrow_mut().push(self.0.now()))
    }
}

/// Header fields with the edits, as the runtime makes them: what is set takes the place of every line of its name.
pub fn edited(mut lines: Lines, edits: &Edits) -> Lines {
    lines.retain(|(name, _)| !edits.remove.iter().any(|other| other == name));
    for (name, value) in &edits.set {
        lines.retain(|(other, _)| other != name);
        lines.push((name.to_string(), value.clone()));
    }
    lines
}
