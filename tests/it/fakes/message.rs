//! Requests, answers and bodies.

use hotrod_edge::ports::{Failure, Request, Response};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Header fields as lines, names in lower case.
pub type Lines = Vec<(String, String)>;

/// A body that has not been read. A cut one ends before its time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "that is what they are")]
pub struct Bytes {
    pub bytes: Rc<[u8]>,
    pub cut: bool,
    /// It has begun, and does not go on.
    pub stalls: bool,
}

/// The body of a client's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Whole(Vec<u8>),
    /// The client goes away within it.
    Cut,
}

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub method: String,
    pub url: String,
    pub lines: Lines,
    pub content: Content,
}

impl Asking {
    /// By any method. A URL that begins with a slash is one of the deployment's own host.
    pub fn new(method: &str, url: &str) -> Self {
        let url = if url.starts_with('/') { format!("https://{}{url}", super::HOST) } else { url.to_string() };
        Self { method: method.to_string(), url, lines: Vec::new(), content: Content::Whole(Vec::new()) }
    }

    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_ascii_lowercase(), value.to_string()));
        self
    }

    pub fn sending(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.content = Content::Whole(content.into());
        self
    }

    /// With an operator's token for the admin plane.
    pub fn by_operator(self) -> Self {
        self.with("authorization", &format!("Bearer {}", super::TOKEN))
    }

    /// A purge by an operator.
    pub fn purge(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "/cache/purge").by_operator().sending(body)
    }
}

/// All lines of a name, joined as the runtime joins them.
pub fn joined(lines: &Lines, name: &str) -> Option<String> {
    let values: Vec<&str> = lines.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Each name once, in order.
fn names(lines: &Lines) -> Vec<String> {
    let names: BTreeSet<_> = lines.iter().map(|(name, _)| name.clone()).collect();
    names.into_iter().collect()
}

impl Request for Asking {
    fn method(&self) -> &str {
        &self.method
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn header(&self, name: &str) -> Option<String> {
        joined(&self.lines, name)
    }

    fn header_names(&self) -> Vec<String> {
        names(&self.lines)
    }

    async fn read(self, at_most: usize) -> Result<Option<Vec<u8>>, Failure> {
        match self.content {
            Content::Whole(bytes) => Ok((bytes.len() <= at_most).then_some(bytes)),
            Content::Cut => Err(Failure("the client went away".to_string())),
        }
    }
}

/// An answer of the origin.
#[derive(Debug, Clone)]
pub struct FakeResponse {
    pub status: u16,
    pub lines: Lines,
    pub body: Bytes,
}

impl Response for FakeResponse {
    type Body = Bytes;

    fn status(&self) -> u16 {
        self.status
    }

    fn is_upgraded(&self) -> bool {
        self.status == 101
    }

    fn header(&self, name: &str) -> Option<String> {
        joined(&self.lines, name)
    }

    fn fields(&self) -> Vec<(String, String)> {
        let lines = |name: String| -> Vec<_> {
            if name == "set-cookie" {
                return self.lines.iter().filter(|(other, _)| *other == name).cloned().collect();
            }
            joined(&self.lines, &name).map(|value| (name, value)).into_iter().collect()
        };
        names(&self.lines).into_iter().flat_map(lines).collect()
    }

    fn into_body(self) -> Bytes {
        self.body
    }
}
