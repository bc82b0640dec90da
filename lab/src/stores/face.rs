//! The HTTP side that the stores share, and the zone with them: read a request, ask the store, write the answer, log it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::faults::{Faults, Instead, Op, Verdict};
use crate::gate::{Stop, lock};
use crate::server::{Connection, Server};
use crate::wire::{BodyReader, Fields, Framing, head_bytes, read_head};

/// A request to a store.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    /// Not the first request of its connection.
    pub(super) reused: bool,
    pub(crate) stop: Stop,
}

/// A store's answer.
pub(crate) enum Reply {
    /// Status, fields and body; the body may be cut short.
    Message { status: u16, fields: Vec<(String, String)>, body: Arc<[u8]>, cut_body: Option<usize> },
    /// The connection closes.
    Close,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Message { status, fields: Vec::new(), body: Arc::new([]), cut_body: None }
    }
}

/// What one Worker sees of a store: an address, faults, and a log of what was asked.
pub(super) struct Face {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    log: Mutex<Vec<(Op, String)>>,
}

impl Shared {
    /// Logs an operation, waits as the faults say, and tells what else they do; the error is the
    /// answer that they leave.
    pub(super) fn begin(&self, op: Op, key: &str, asked: &Asked) -> Result<Verdict, Reply> {
        // On a connection that was used before, workerd sends an idempotent request without a body again
        // when it is closed. So that one is closed unseen, and the fault strikes on the new connection.
        let sent_again =
            asked.reused && asked.body.is_empty() && matches!(asked.method.as_str(), "GET" | "PUT" | "DELETE");
        if sent_again && self.faults.closes(op, key) {
            return Err(Reply::Close);
        }
        lock(&self.log).push((op, key.to_owned()));
        let verdict = self.faults.strike(op, key, &asked.stop);
        match verdict.instead {
            Some(Instead::Close) => Err(Reply::Close),
            Some(Instead::Status(status)) => Err(Reply::status(status)),
            None => Ok(verdict),
        }
    }
}

impl Face {
    /// Serves on a free loopback port.
    pub(super) fn start(answer: impl Fn(&Shared, Asked) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let server = Server::start({
            let shared = Arc::clone(&shared);
            move |connection| serve(connection, |asked| answer(&shared, asked))
        });
        Self { server, shared }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The operations so far, in order, each with its key.
    pub(super) fn log(&self) -> Vec<(Op, String)> {
        lock(&self.shared.log).clone()
    }

    pub(super) fn count(&self, op: Op) -> usize {
        lock(&self.shared.log).iter().filter(|(logged, _)| *logged == op).count()
    }
}

/// Answers every request of a connection until one of the two sides closes it.
pub(crate) fn serve(mut connection: Connection, answer: impl Fn(Asked) -> Reply) {
    // An error means that the other side is gone, or sent half a message: neither has an answer.
    let mut reused = false;
    while let Ok(Some(asked)) = read_request(&mut connection, std::mem::replace(&mut reused, true)) {
        let bodiless = asked.method == "HEAD";
        let kept_open = match answer(asked) {
            Reply::Close => false,
            Reply::Message { status, fields, body, cut_body } => {
                let body = if bodiless { Arc::new([]) } else { body };
                write_reply(&mut connection, status, fields, &body, cut_body).unwrap_or(false)
            }
        };
        if !kept_open {
            return;
        }
    }
}

fn read_request(connection: &mut Connection, reused: bool) -> io::Result<Option<Asked>> {
    let Some(head) = read_head(&mut connection.reader)? else {
        return Ok(None);
    };
    let body = BodyReader::new(Framing::of_request(&head.fields)?).rest(&mut connection.reader)?;
    let mut words = head.start.split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    Ok(Some(Asked { method, target, fields: head.fields, body, reused, stop: Stop::clone(&connection.stop) }))
}

fn write_reply(
    connection: &mut Connection,
    status: u16,
    mut fields: Vec<(String, String)>,
    body: &[u8],
    cut_body: Option<usize>,
) -> io::Result<bool> {
    if !matches!(status, 204 | 304) {
        fields.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    let mut bytes = head_bytes(&format!("HTTP/1.1 {status} Store"), &fields);
    bytes.extend_from_slice(cut_body.map_or(body, |most| &body[..body.len().min(most)]));
    connection.writer.write_all(&bytes)?;
    Ok(cut_body.is_none())
}
