//! HTTP/1.1 as it is on the wire, for the client, the origin and the stores alike.
//!
//! A head keeps its fields in the order sent, with duplicates, beside the raw bytes; a body is read
//! piece by piece, so that whoever reads can note when each piece came. A body that ends before its
//! framing says so is an error (`UnexpectedEof`), never a short success.

use std::io::{self, BufRead, Write};

/// The longest head that is read, in bytes.
const LONGEST_HEAD: usize = 1 << 20;

/// Header fields in the order sent, duplicates included.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Every field of that name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|field| field.1.as_str()).collect()
    }

    /// True if a field of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|field| !field.0.eq_ignore_ascii_case(name));
    }

    /// Names alone, lower-case, in the order sent.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|field| field.0.to_ascii_lowercase()).collect()
    }
}

/// A start line and its fields.
#[derive(Clone, Debug)]
pub struct Head {
    /// Request line or status line, without its line end.
    pub start: String,
    /// The fields.
    pub fields: Fields,
    /// The bytes as they came, the blank line included.
    pub raw: Vec<u8>,
}

/// Reads one head; `None` when the other side closed before the first byte.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut raw = Vec::new();
    loop {
        let before = raw.len();
        reader.read_until(b'\n', &mut raw)?;
        if raw.len() == before {
            return if raw.is_empty() { Ok(None) } else { Err(cut()) };
        }
        if !raw.ends_with(b"\r\n") || raw.len() > LONGEST_HEAD {
            return Err(invalid("a head line does not end in CRLF, or the head is too long"));
        }
        if raw.len() == before + 2 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&raw);
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a field without a colon"))?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(invalid("white space in a field name"));
        }
        fields.0.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(Some(Head { start, fields, raw }))
}

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks, and an empty one at the end.
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
}

impl Framing {
    /// The framing of a request.
    pub fn of_request(fields: &Fields) -> io::Result<Self> {
        Ok(Self::declared(fields)?.unwrap_or(Self::Empty))
    }

    /// The framing of an answer to `method`.
    pub fn of_answer(method: &str, status: u16, fields: &Fields) -> io::Result<Self> {
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Self::Empty);
        }
        Ok(Self::declared(fields)?.unwrap_or(Self::UntilClose))
    }

    fn declared(fields: &Fields) -> io::Result<Option<Self>> {
        if let Some(coding) = fields.get("Transfer-Encoding") {
            if coding.eq_ignore_ascii_case("chunked") && !fields.has("Content-Length") {
                return Ok(Some(Self::Chunked));
            }
            return Err(invalid("a transfer coding other than chunked, or a length beside it"));
        }
        match fields.all("Content-Length").as_slice() {
            [] => Ok(None),
            [one] => one.parse().map(|n| Some(Self::Length(n))).map_err(|_| invalid("bad Content-Length")),
            _ => Err(invalid("two Content-Length fields")),
        }
    }
}

/// Where the reading of a body stands.
#[derive(Debug)]
pub struct BodyReader {
    framing: Framing,
    /// Bytes left of the body (`Length`) or of the current chunk (`Chunked`).
    left: u64,
    inside_chunk: bool,
    ended: bool,
}

impl BodyReader {
    /// A reader at the first byte of a body.
    pub fn new(framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        let ended = matches!(framing, Framing::Empty | Framing::Length(0));
        Self { framing, left, inside_chunk: false, ended }
    }

    /// The next piece as it arrived, or `None` at the end that the framing promised.
    pub fn piece(&mut self, reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        if self.framing == Framing::Chunked && self.left == 0 && !self.next_chunk(reader)? {
            return Ok(None);
        }
        let available = reader.fill_buf()?;
        if available.is_empty() {
            self.ended = true;
            return if self.framing == Framing::UntilClose { Ok(None) } else { Err(cut()) };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let take = if self.framing == Framing::UntilClose { available.len() } else { available.len().min(most) };
        let piece = available[..take].to_vec();
        reader.consume(take);
        self.left = self.left.saturating_sub(take as u64);
        self.ended = self.left == 0 && matches!(self.framing, Framing::Length(_));
        Ok(Some(piece))
    }

    /// Everything that is left.
    pub fn rest(&mut self, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(reader)? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Reads a chunk's size line; false after the last chunk.
    fn next_chunk(&mut self, reader: &mut impl BufRead) -> io::Result<bool> {
        if self.inside_chunk && !read_line(reader)?.is_empty() {
            return Err(invalid("a chunk longer than its size"));
        }
        let line = read_line(reader)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(digits, 16).map_err(|_| invalid("bad chunk size"))?;
        self.inside_chunk = true;
        if self.left == 0 {
            while !read_line(reader)?.is_empty() {}
            self.ended = true;
        }
        Ok(self.left > 0)
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\r\n") {
        return Err(cut());
    }
    Ok(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
}

/// Writes a head: the start line, the fields, the blank line.
pub fn head_bytes(start: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(start.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Writes one chunk of a chunked body; an empty one ends it.
pub fn write_chunk(writer: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    writer.write_all(&bytes)
}

/// Undoes percent-encoding; a malformed escape stays as it is.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = if bytes[at] == b'%' { text.get(at + 1..at + 3) } else { None };
        if let Some(byte) = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3).
pub fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// One parameter of a target's query, decoded.
pub fn query_parameter(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let of_that_name =
        |pair: &str| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| percent_decode(value));
    query.split('&').find_map(of_that_name)
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection closed in the middle of a message")
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
