//! A client that sends exactly the bytes it is told to, and tells exactly what came back, and when.

use std::fmt;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::wire::{BodyReader, Fields, Framing, read_head, write_chunk};

/// The longest silence that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request to be sent. Nothing in it is normalised; added are only `Host`, unless it is given or
/// refused, and the framing of a body, unless it is given.
#[derive(Clone, Debug)]
pub struct Call {
    method: Vec<u8>,
    target: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    /// The parts of the body, and how long each waits for.
    body: Option<Vec<(Duration, Vec<u8>)>>,
    chunked: bool,
    host: bool,
}

impl Call {
    /// A request with this method and target, both sent byte for byte.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let (method, target) = (method.as_bytes().to_vec(), target.as_ref().to_vec());
        Self { method, target, fields: Vec::new(), body: None, chunked: false, host: true }
    }

    /// A GET.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// One more field.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// No `Host` field, unless it is given.
    pub fn without_host(mut self) -> Self {
        self.host = false;
        self
    }

    /// A body with its length.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(vec![(Duration::ZERO, body.as_ref().to_vec())]);
        self
    }

    /// A body in chunks, each sent so long after the one before.
    pub fn chunks(mut self, parts: impl IntoIterator<Item = (Duration, Vec<u8>)>) -> Self {
        self.chunked = true;
        self.body = Some(parts.into_iter().collect());
        self
    }

    /// Whether the edge answers it itself: its health, and the admin plane.
    pub(crate) fn is_for_the_edge(&self) -> bool {
        self.target.starts_with(b"/healthz") || self.target.starts_with(b"/cache/")
    }

    /// The request as it goes on the wire, for an address, without its body.
    fn head(&self, address: SocketAddr) -> Vec<u8> {
        let given = |name: &str| self.fields.iter().any(|field| field.0.eq_ignore_ascii_case(name));
        let mut head = [self.method.as_slice(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        if self.host && !given("Host") {
            head.extend_from_slice(format!("Host: localhost:{}\r\n", address.port()).as_bytes());
        }
        for (name, value) in &self.fields {
            head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = &self.body
            && !given("Content-Length")
            && !given("Transfer-Encoding")
        {
            let framing = format!("Content-Length: {}\r\n", body.iter().map(|(_, part)| part.len()).sum::<usize>());
            head.extend_from_slice(if self.chunked { b"Transfer-Encoding: chunked\r\n" } else { framing.as_bytes() });
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Sends it on a new connection and returns when the answer's head is there.
    pub fn open(&self, address: SocketAddr) -> io::Result<Opened> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let started = Instant::now();
        stream.write_all(&self.head(address))?;
        if let Some(parts) = self.body.clone() {
            let (writer, chunked) = (stream.try_clone()?, self.chunked);
            // In a thread of its own, since the answer may come before the body is through.
            // An error here is one that the answer tells better: the other side may refuse a body.
            std::thread::spawn(move || write_body(writer, &parts, chunked).ok());
        }
        Opened::read(stream, started, &String::from_utf8_lossy(&self.method))
    }

    /// Sends it and reads the whole answer.
    pub fn send(&self, address: SocketAddr) -> io::Result<Response> {
        Ok(self.open(address)?.finish())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method.escape_ascii(), self.target.escape_ascii())
    }
}

fn write_body(mut writer: TcpStream, parts: &[(Duration, Vec<u8>)], chunked: bool) -> io::Result<()> {
    for (wait, part) in parts {
        std::thread::sleep(*wait);
        if chunked {
            write_chunk(&mut writer, part)?;
        } else {
            writer.write_all(part)?;
        }
    }
    if chunked { write_chunk(&mut writer, b"") } else { Ok(()) }
}

/// An answer whose head has come and whose body may still be coming.
pub struct Opened {
    /// The status code.
    pub status: u16,
    /// The fields, in order.
    pub fields: Fields,
    /// From the last byte of the request's head to the last byte of the answer's.
    pub head_after: Duration,
    started: Instant,
    body: BodyReader,
    reader: BufReader<TcpStream>,
}

impl Opened {
    fn read(stream: TcpStream, started: Instant, method: &str) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(64 << 10, stream);
        let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "closed without an answer");
        let (head, status) = loop {
            let head = read_head(&mut reader)?.ok_or_else(closed)?;
            let status = head.start.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
            let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("bad status line {:?}", head.start));
            let status: u16 = status.ok_or_else(bad)?;
            // 100 (Continue) and its like come before the answer; 101 is one.
            if status == 101 || status >= 200 {
                break (head, status);
            }
        };
        let body = BodyReader::new(Framing::of_answer(method, status, &head.fields)?);
        Ok(Self { status, fields: head.fields, head_after: started.elapsed(), started, body, reader })
    }

    /// The next piece of the body, and when it came (from the request on); `None` at its end.
    pub fn piece(&mut self) -> io::Result<Option<(Duration, Vec<u8>)>> {
        Ok(self.body.piece(&mut self.reader)?.map(|piece| (self.started.elapsed(), piece)))
    }

    /// Reads to the end.
    pub fn finish(mut self) -> Response {
        let (mut body, mut pieces) = (Vec::new(), Vec::new());
        let cut = loop {
            match self.piece() {
                Ok(Some((at, piece))) => {
                    pieces.push((at, piece.len()));
                    body.extend_from_slice(&piece);
                }
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let (started, ended) = (self.started, Instant::now());
        Response {
            status: self.status,
            fields: self.fields,
            body,
            started,
            head_after: self.head_after,
            pieces,
            ended,
            cut,
        }
    }

    /// Closes the connection before the end.
    pub fn abort(self) {
        // It may be closed already.
        let _closed = self.reader.get_ref().shutdown(Shutdown::Both);
    }

    /// The connection and what was read of it beyond the head, after a 101.
    pub fn into_upgraded(self) -> (TcpStream, Vec<u8>) {
        let read_already = self.reader.buffer().to_vec();
        (self.reader.into_inner(), read_already)
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields, in order.
    pub fields: Fields,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// When the request began to be sent.
    pub started: Instant,
    /// From the request to the answer's head.
    pub head_after: Duration,
    /// When each piece of the body came, from the request on, and its length.
    pub pieces: Vec<(Duration, usize)>,
    /// When the answer ended.
    pub ended: Instant,
    /// Why the body ended early, if it did.
    pub cut: Option<String>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a field that must not be there twice.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.fields.all(name);
        assert!(all.len() < 2, "{name} is there {} times: {all:?}", all.len());
        all.first().copied()
    }
}
