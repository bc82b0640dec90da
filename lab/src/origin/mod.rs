//! The scripted origin: answers by path, and remembers every request as it came.
//!
//! A script is looked up by the whole target first and then by the path without its query. What no
//! script knows is answered 404, unless it is said otherwise, and counted all the same.

mod answer;
mod send;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use answer::{Answer, Wait, gzip, gzip_bomb, is_pattern};

use crate::gate::lock;
use crate::server::{Connection, Server};
use crate::wire::{BodyReader, Fields, Framing, read_head};

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method, case kept.
    pub method: String,
    /// The request target, byte for byte (bytes that are not UTF-8 are replaced; see `raw`).
    pub target: String,
    /// The fields, in order.
    pub fields: Fields,
    /// The head's bytes.
    pub raw: Vec<u8>,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// True once the answer was written whole, or as far as its script goes.
    pub answered: bool,
    /// True if the other side closed before the answer was written.
    pub hung_up: bool,
}

impl Recorded {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, Script>>,
    otherwise: Mutex<Option<Script>>,
    requests: Mutex<Vec<Recorded>>,
    one_per_connection: AtomicBool,
}

/// The origin. It stops when it is dropped.
pub struct Origin {
    state: Arc<State>,
    server: Server,
}

impl Origin {
    /// Starts on a free loopback port, with no script.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let server = Server::start({
            let state = Arc::clone(&state);
            move |connection| serve(&state, connection)
        });
        Self { state, server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// From now on this path (or whole target) is answered so.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.script(path, move |_, _| answer.clone());
    }

    /// The first request of this path gets the first answer, and so on; the last one repeats.
    pub fn answers(&self, path: &str, answers: Vec<Answer>) {
        assert!(!answers.is_empty(), "a script without an answer");
        self.script(path, move |_, nth| answers[nth.min(answers.len() - 1)].clone());
    }

    /// The answer is a function of the request and of how many this script answered before.
    pub fn script(&self, path: &str, script: impl Fn(&Recorded, usize) -> Answer + Send + Sync + 'static) {
        let answered = AtomicUsize::new(0);
        let counted = move |request: &Recorded| script(request, answered.fetch_add(1, Ordering::SeqCst));
        lock(&self.state.scripts).insert(path.to_owned(), Arc::new(counted));
    }

    /// What no script knows is answered so.
    pub fn otherwise(&self, script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *lock(&self.state.otherwise) = Some(Arc::new(script));
    }

    /// Forgets every script. The requests stay.
    pub fn forget(&self) {
        lock(&self.state.scripts).clear();
        *lock(&self.state.otherwise) = None;
    }

    /// Closes every connection after its first answer. workerd sends an idempotent request without a body
    /// a second time when a connection that it used before closes before the answer; with this, it never does.
    pub fn one_request_per_connection(&self) {
        self.state.one_per_connection.store(true, Ordering::SeqCst);
    }

    /// Refuses connections until [`Origin::resume`].
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again on the same port.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// How many requests came for this path; with a `?` in it, for this whole target.
    pub fn count(&self, path: &str) -> usize {
        self.requests(path).len()
    }

    /// The requests for this path (or whole target), in order.
    pub fn requests(&self, path: &str) -> Vec<Recorded> {
        let asked = |request: &&Recorded| {
            if path.contains('?') { request.target == path } else { request.path() == path }
        };
        lock(&self.state.requests).iter().filter(asked).cloned().collect()
    }

    /// Every request, in order.
    pub fn all_requests(&self) -> Vec<Recorded> {
        lock(&self.state.requests).clone()
    }

    /// How many requests came at all.
    pub fn total(&self) -> usize {
        lock(&self.state.requests).len()
    }

    /// Waits until what `sees` says of the requests so far is true; false if `patience` runs out first.
    pub fn wait_until(&self, patience: Duration, sees: impl Fn(&[Recorded]) -> bool) -> bool {
        let until = Instant::now() + patience;
        loop {
            if sees(&lock(&self.state.requests)) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Serves one connection until it closes.
fn serve(state: &Arc<State>, mut connection: Connection) {
    while let Ok(Some(head)) = read_head(&mut connection.reader) {
        let mut words = head.start.split(' ');
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let Ok(framing) = Framing::of_request(&head.fields) else {
            return;
        };
        let mut body = BodyReader::new(framing);
        let mut request = Recorded {
            method,
            target,
            fields: head.fields,
            raw: head.raw,
            body: Vec::new(),
            answered: false,
            hung_up: false,
        };
        let number = {
            let mut requests = lock(&state.requests);
            requests.push(request.clone());
            requests.len() - 1
        };
        let Some(answer) = choose(state, &mut request, &mut body, &mut connection) else {
            return;
        };
        lock(&state.requests)[number].body.clone_from(&request.body);
        let sent = send::send(&answer, &request, body, &mut connection, |piece| {
            lock(&state.requests)[number].body.extend_from_slice(piece);
        });
        let mut requests = lock(&state.requests);
        requests[number].answered = sent.is_ok();
        requests[number].hung_up = sent.is_err();
        if !matches!(sent, Ok(send::After::KeepAlive)) || state.one_per_connection.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Reads the body, unless the answer is its echo, and finds the answer.
fn choose(state: &State, request: &mut Recorded, body: &mut BodyReader, connection: &mut Connection) -> Option<Answer> {
    let script = {
        let scripts = lock(&state.scripts);
        let found = scripts.get(&request.target).or_else(|| scripts.get(request.path())).cloned();
        found.or_else(|| lock(&state.otherwise).clone())
    };
    let unknown = || Answer::bytes("text/plain", "the test has no script for this path").status(404);
    let answer = script.map_or_else(unknown, |script| script(request));
    if !matches!(answer.content, answer::Content::EchoedBody) {
        request.body = body.rest(&mut connection.reader).ok()?;
    }
    Some(answer)
}
