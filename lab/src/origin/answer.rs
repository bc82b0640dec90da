//! What a scripted origin answers: bytes, how they are framed, and what goes wrong on the way.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gate::Gate;

/// The most bytes of the pattern at once.
pub(super) const PATTERN_PIECE: usize = 64 << 10;

/// One answer. The builder methods may be combined; a clone answers alike.
#[derive(Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) content: Content,
    pub(super) framing: Declared,
    pub(super) cut_after: Option<u64>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) before_head: Vec<Wait>,
    pub(super) in_body: Vec<(u64, Wait)>,
}

/// Where the bytes of a body come from.
#[derive(Clone)]
pub(super) enum Content {
    Bytes(Arc<[u8]>),
    Pattern(u64),
    EchoedBody,
    Events(Arc<[(Wait, String)]>),
    Verbatim(Arc<[u8]>),
    Nothing,
    WebSocketEcho,
}

/// How the length is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    TrueLength,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A pause: of a length, or until the test opens a gate.
#[derive(Clone)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until then.
    Until(Gate),
}

impl Answer {
    fn new(status: u16, content_type: &str, content: Content) -> Self {
        let fields = vec![("Content-Type".to_owned(), content_type.to_owned())];
        let (framing, cut_after, bytes_per_second) = (Declared::TrueLength, None, None);
        Self {
            status,
            fields,
            content,
            framing,
            cut_after,
            bytes_per_second,
            before_head: Vec::new(),
            in_body: Vec::new(),
        }
    }

    /// 200 with these bytes.
    pub fn bytes(content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new(200, content_type, Content::Bytes(body.as_ref().into()))
    }

    /// 200 with this JSON.
    pub fn json(body: &Value) -> Self {
        Self::bytes("application/json", body.to_string())
    }

    /// A dashboard's figures, good in either of the origin's envelopes: `fact` is what they say, and what tests compare.
    pub fn tile(fact: &str) -> Self {
        let data = json!({"says": fact, "rows": [1, 2, 3]});
        Self::json(&json!({"status": "ok", "success": true, "source": "fresh", "fact": {"says": fact}, "data": data}))
    }

    /// An empty answer of that status.
    pub fn empty(status: u16) -> Self {
        let mut answer = Self::new(status, "", Content::Bytes(Arc::new([])));
        answer.fields.clear();
        answer
    }

    /// So many bytes of a known pattern (see [`is_pattern`]), as fast as the reader takes them.
    pub fn pattern(length: u64) -> Self {
        Self::new(200, "application/octet-stream", Content::Pattern(length))
    }

    /// The request's body, sent back while it arrives.
    pub fn echoed_body() -> Self {
        Self::new(200, "application/octet-stream", Content::EchoedBody).chunked()
    }

    /// Server-sent events, each after its wait; the connection closes after the last.
    pub fn events(events: impl IntoIterator<Item = (Wait, &'static str)>) -> Self {
        let events: Vec<_> = events.into_iter().map(|(wait, data)| (wait, format!("data: {data}\n\n"))).collect();
        Self::new(200, "text/event-stream", Content::Events(events.into())).chunked()
    }

    /// A WebSocket that says back what it hears.
    pub fn websocket_echo() -> Self {
        Self { content: Content::WebSocketEcho, ..Self::empty(101) }
    }

    /// These bytes and nothing else, head included; then the connection closes.
    pub fn verbatim(message: impl AsRef<[u8]>) -> Self {
        Self { content: Content::Verbatim(message.as_ref().into()), ..Self::empty(200) }
    }

    /// The connection closes without an answer.
    pub fn none() -> Self {
        Self { content: Content::Nothing, ..Self::empty(200) }
    }

    /// How long the body is, where it is known.
    pub fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pattern(length) => *length,
            _ => panic!("the length of this answer is not known"),
        }
    }

    /// Another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// One more field, after the others; `Content-Type` replaces the one there is.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("Content-Type") {
            self.fields.retain(|field| !field.0.eq_ignore_ascii_case(name));
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Chunked, without a length.
    pub fn chunked(mut self) -> Self {
        self.framing = Declared::Chunked;
        self
    }

    /// Without a length: the end of the connection ends the body.
    pub fn until_close(mut self) -> Self {
        self.framing = Declared::UntilClose;
        self
    }

    /// A Content-Length that may be wrong. The connection closes after the body.
    pub fn declares_length(mut self, length: u64) -> Self {
        self.framing = Declared::Length(length);
        self
    }

    /// The connection closes after so many bytes of the body (and without a last chunk).
    pub fn cut_after(mut self, bytes: u64) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// The body comes at this speed.
    pub fn bytes_per_second(mut self, rate: u64) -> Self {
        self.bytes_per_second = Some(rate);
        self
    }

    /// Waits before the head.
    pub fn wait_before_head(mut self, wait: Wait) -> Self {
        self.before_head.push(wait);
        self
    }

    /// Waits when so many bytes of the body have been sent.
    pub fn wait_in_body(mut self, offset: u64, wait: Wait) -> Self {
        self.in_body.push((offset, wait));
        self
    }
}

/// The pattern repeats after so many bytes, a prime, so that a lost or doubled block shows.
const PERIOD: usize = 251;

/// The bytes of the pattern between two places.
pub(super) fn pattern(from: u64, to: u64) -> &'static [u8] {
    static REPEATED: OnceLock<Vec<u8>> = OnceLock::new();
    let repeated = REPEATED.get_or_init(|| (0..=250).cycle().take(PATTERN_PIECE + PERIOD).collect());
    let start = index(from % PERIOD as u64);
    &repeated[start..start + index(to - from)]
}

/// An offset inside something that is in memory.
pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset in memory fits a usize")
}

/// True if these bytes are the pattern's, from that place on.
pub fn is_pattern(offset: u64, bytes: &[u8]) -> bool {
    let mut at = offset;
    bytes.chunks(PATTERN_PIECE).all(|piece| {
        let from = at;
        at += piece.len() as u64;
        pattern(from, at) == piece
    })
}

/// A valid gzip file with these contents (stored, not deflated).
pub fn gzip(contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).expect("one stored block holds at most 65,535 bytes");
    let block = [&[1], length.to_le_bytes().as_slice(), &(!length).to_le_bytes(), contents].concat();
    gzip_file(&block, contents)
}

/// A body of JSON that is good and a hundred and fifty times as long as its gzip file, and that file: a text of so many
/// runs of the longest match that there is (RFC 1951, section 3.2.6: the fixed codes).
pub fn gzip_bomb(runs: usize) -> (Vec<u8>, Vec<u8>) {
    let (before, after) = (r#"{"status":"ok","success":true,"data":"x"#, r#""}"#);
    let mut bits = Bits::default();
    // The last block, of fixed codes.
    bits.push(0b110, 3);
    before.bytes().for_each(|byte| bits.push(0x30 + u32::from(byte), 8));
    for _ in 0..runs {
        bits.push(0b1100_0101, 8);
        bits.push(0, 5);
    }
    after.bytes().for_each(|byte| bits.push(0x30 + u32::from(byte), 8));
    bits.push(0, 7);
    let contents = [before, &"x".repeat(258 * runs), after].concat().into_bytes();
    let file = gzip_file(&bits.bytes, &contents);
    (contents, file)
}

/// Bits as codes are packed (RFC 1951, section 3.1.1): bytes fill up from their least significant bit.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// A code of that length, its most significant bit first.
    fn push(&mut self, code: u32, length: u32) {
        for shift in (0..length).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if code >> shift & 1 == 1
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 1 << (self.count % 8);
            }
            self.count += 1;
        }
    }
}

/// These blocks, which hold these contents, as a file (RFC 1952).
fn gzip_file(blocks: &[u8], contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).expect("less than 4 GiB");
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&head, blocks, &crc32(contents).to_le_bytes(), &length.to_le_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32| {
        if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
    };
    let table: Vec<u32> = (0..=255).map(|byte| (0..8).fold(byte, |crc, _| fold(crc))).collect();
    !bytes.iter().fold(u32::MAX, |crc, byte| (crc >> 8) ^ table[usize::from(crc.to_le_bytes()[0] ^ byte)])
}
