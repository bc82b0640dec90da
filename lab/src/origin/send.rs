//! Writes an [`Answer`] on a connection, with its waits, its speed and its faults.

use std::io::{self, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket};

use super::Recorded;
use super::answer::{Answer, Content, Declared, PATTERN_PIECE, Wait, index, pattern};
use crate::gate::{Stop, sleep};
use crate::server::Connection;
use crate::wire::{BodyReader, head_bytes, write_chunk};

/// What becomes of the connection.
pub(super) enum After {
    KeepAlive,
    Close,
}

/// The most that is written at once.
const PIECE: u64 = PATTERN_PIECE as u64;
/// How often a throttled body is sent, a second.
const BEATS: u64 = 50;

/// Sends the answer; an error means that the other side hung up. `echoed` hears of each piece of the
/// request's body that is echoed.
pub(super) fn send(
    answer: &Answer,
    request: &Recorded,
    mut body: BodyReader,
    connection: &mut Connection,
    mut echoed: impl FnMut(&[u8]),
) -> io::Result<After> {
    for wait in &answer.before_head {
        pause(wait, &connection.stop);
    }
    match &answer.content {
        Content::Nothing => return Ok(After::Close),
        Content::Verbatim(bytes) => {
            connection.writer.write_all(bytes)?;
            connection.writer.shutdown(Shutdown::Write)?;
            return Ok(After::Close);
        }
        Content::WebSocketEcho => return websocket_echo(answer, request, connection),
        Content::Bytes(_) | Content::Pattern(_) | Content::EchoedBody | Content::Events(_) => {}
    }
    let head = head(answer);
    if request.method == "HEAD" || matches!(answer.status, 204 | 304) {
        connection.writer.write_all(&head)?;
        return Ok(After::KeepAlive);
    }
    let stop = Stop::clone(&connection.stop);
    let mut out = Output {
        answer,
        writer: &mut connection.writer,
        stop: &stop,
        sent: 0,
        started: Instant::now(),
        held_head: head,
    };
    let whole = match &answer.content {
        Content::Bytes(bytes) => {
            out.write_paced(bytes.len() as u64, |from, to| bytes[index(from)..index(to)].to_vec())?
        }
        Content::Pattern(length) => out.write_paced(*length, |from, to| pattern(from, to).to_vec())?,
        Content::EchoedBody => {
            out.flush_head()?;
            let mut whole = true;
            while let Some(piece) = body.piece(&mut connection.reader)? {
                echoed(&piece);
                whole = whole && out.write(&piece)?;
            }
            whole
        }
        Content::Events(events) => {
            out.flush_head()?;
            let mut whole = true;
            for (wait, event) in events.iter() {
                pause(wait, &stop);
                whole = whole && out.write(event.as_bytes())?;
            }
            whole
        }
        Content::Verbatim(_) | Content::Nothing | Content::WebSocketEcho => true,
    };
    out.flush_head()?;
    match answer.framing {
        Declared::Chunked if whole => write_chunk(&mut connection.writer, b"").map(|()| After::KeepAlive),
        Declared::TrueLength if whole => Ok(After::KeepAlive),
        _ => Ok(After::Close),
    }
}

fn head(answer: &Answer) -> Vec<u8> {
    let mut fields = answer.fields.clone();
    let length = match (&answer.content, answer.framing) {
        (_, Declared::Chunked) => {
            fields.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
            None
        }
        (_, Declared::Length(length)) => Some(length),
        (Content::Bytes(bytes), Declared::TrueLength) if !matches!(answer.status, 204 | 304) => {
            Some(bytes.len() as u64)
        }
        (Content::Pattern(length), Declared::TrueLength) => Some(*length),
        _ => None,
    };
    fields.extend(length.map(|length| ("Content-Length".to_owned(), length.to_string())));
    head_bytes(&format!("HTTP/1.1 {} Scripted", answer.status), &fields)
}

/// Writes the body's bytes: framed, paced, paused and cut as the answer says.
struct Output<'a> {
    answer: &'a Answer,
    writer: &'a mut std::net::TcpStream,
    stop: &'a Stop,
    sent: u64,
    started: Instant,
    /// The head, until it leaves together with the first bytes of the body.
    held_head: Vec<u8>,
}

impl Output<'_> {
    /// Writes a body of that length, piece by piece. False if it was cut.
    fn write_paced(&mut self, length: u64, bytes: impl Fn(u64, u64) -> Vec<u8>) -> io::Result<bool> {
        let piece = self.answer.bytes_per_second.map_or(PIECE, |rate| (rate / BEATS).clamp(1, PIECE));
        while self.sent < length {
            let (answer, sent) = (self.answer, self.sent);
            for (_, wait) in answer.in_body.iter().filter(|(offset, _)| *offset == sent) {
                self.flush_head()?;
                pause(wait, self.stop);
            }
            let next_wait =
                self.answer.in_body.iter().map(|(offset, _)| *offset).filter(|offset| *offset > self.sent).min();
            let to = length.min(self.sent + piece).min(next_wait.unwrap_or(u64::MAX));
            if !self.write(&bytes(self.sent, to))? {
                return Ok(false);
            }
            if let Some(rate) = self.answer.bytes_per_second {
                let due = self.started + Duration::from_micros(self.sent.saturating_mul(1_000_000) / rate);
                sleep(due.saturating_duration_since(Instant::now()), self.stop);
            }
        }
        // A cut at the very end still leaves out the last chunk.
        Ok(self.answer.cut_after.is_none_or(|most| self.sent < most))
    }

    /// Writes one piece. False if the body is cut inside it.
    fn write(&mut self, piece: &[u8]) -> io::Result<bool> {
        let room = self.answer.cut_after.map_or(u64::MAX, |most| most.saturating_sub(self.sent));
        let cut = room < piece.len() as u64;
        let kept = if cut { &piece[..index(room)] } else { piece };
        let mut bytes = std::mem::take(&mut self.held_head);
        if self.answer.framing == Declared::Chunked && !piece.is_empty() {
            // A cut leaves a chunk shorter than its size says.
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(kept);
            bytes.extend_from_slice(if cut { b"" } else { b"\r\n" });
        } else {
            bytes.extend_from_slice(kept);
        }
        self.writer.write_all(&bytes)?;
        self.sent += kept.len() as u64;
        Ok(!cut)
    }

    fn flush_head(&mut self) -> io::Result<()> {
        self.writer.write_all(&std::mem::take(&mut self.held_head))
    }
}

fn websocket_echo(answer: &Answer, request: &Recorded, connection: &mut Connection) -> io::Result<After> {
    let Some(key) = request.fields.get("Sec-WebSocket-Key") else {
        connection.writer.write_all(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(After::KeepAlive);
    };
    let mut fields =
        vec![("Upgrade".to_owned(), "websocket".to_owned()), ("Connection".to_owned(), "Upgrade".to_owned())];
    fields.push(("Sec-WebSocket-Accept".to_owned(), derive_accept_key(key.as_bytes())));
    fields.extend(answer.fields.iter().cloned());
    connection.writer.write_all(&head_bytes("HTTP/1.1 101 Switching Protocols", &fields))?;
    let read_already = connection.reader.buffer().to_vec();
    let mut socket = WebSocket::from_partially_read(connection.writer.try_clone()?, read_already, Role::Server, None);
    while let Ok(message) = socket.read() {
        let ended = if message.is_text() || message.is_binary() { socket.send(message) } else { socket.flush() };
        if ended.is_err() {
            break;
        }
    }
    Ok(After::Close)
}

fn pause(wait: &Wait, stop: &Stop) {
    match wait {
        Wait::For(duration) => sleep(*duration, stop),
        Wait::Until(gate) => gate.pass(stop),
    }
}
