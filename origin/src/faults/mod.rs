//! Misbehaviour on demand: what can be armed, for which path, and how often.

mod apply;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

pub(crate) use apply::misbehave;

/// What an armed fault does. Several fields together do several things to one answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    /// Another status, with the same body.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Milliseconds before the headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// Milliseconds before each chunk of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_delay_ms: Option<u64>,
    /// The size of those chunks; 1024 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_bytes: Option<usize>,
    /// Closes the connection after so many bytes of the body, or one before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_after_bytes: Option<usize>,
    /// For `cut_after_bytes`: the body is chunked, and is cut inside a chunk. Otherwise it has a length.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunked: Option<bool>,
    /// Declares so many bytes more, or less, than are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    length_delta: Option<i64>,
    /// Closes the connection without a byte of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    hang_up: Option<bool>,
    /// Answers 200 with the request itself, in the envelope of the path. Nothing else is done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<bool>,
    /// Another body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyFault>,
    /// So many spaces after the body, which leave JSON valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pad_bytes: Option<usize>,
    /// Headers to set, or with a list to send several times, or with null to leave out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, HeaderFault>,
}

/// Bodies that are not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BodyFault {
    /// JSON without its last byte.
    InvalidJson,
    /// The envelope says that it failed, whatever the HTTP status says.
    StatusError,
    /// A page for people.
    Html,
    /// Nothing.
    Empty,
}

/// What becomes of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string, a list of strings or null")]
pub(crate) enum HeaderFault {
    /// Sent once, with this value.
    Value(String),
    /// Sent once for each value.
    Values(Vec<String>),
    /// Not sent.
    Absent(()),
}

/// A fault, where and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Armed {
    /// The path that it strikes, or `*` for all but `/dev/`.
    path: String,
    /// How often; until cleared unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    fault: Fault,
}

impl Armed {
    /// Says in a sentence what cannot be armed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fault = &self.fault;
        if self.path != "*" && !self.path.starts_with('/') {
            return Err("path: give a path that begins with '/', or '*' for all.".into());
        }
        if self.path.starts_with("/dev/") || self.path.contains('?') {
            return Err("path: /dev/ has no faults, and a query is not part of a path.".into());
        }
        if self.times == Some(0) {
            return Err("times: give 1 or more, or leave it out.".into());
        }
        if *fault == Fault::default() {
            return Err(format!("fault: name at least one of {KINDS}."));
        }
        if fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("fault.status: give a status from 200 to 599.".into());
        }
        if fault.chunk_bytes == Some(0) {
            return Err("fault.chunk_bytes: give 1 or more.".into());
        }
        if fault.chunk_bytes.is_some() && fault.chunk_delay_ms.is_none() {
            return Err("fault.chunk_bytes: it needs chunk_delay_ms.".into());
        }
        if fault.chunked.is_some() && fault.cut_after_bytes.is_none() {
            return Err("fault.chunked: it needs cut_after_bytes.".into());
        }
        if fault.hang_up == Some(false) {
            return Err("fault.hang_up: give true, or leave it out.".into());
        }
        if fault.echo == Some(false) {
            return Err("fault.echo: give true, or leave it out.".into());
        }
        if fault.length_delta == Some(0) {
            return Err("fault.length_delta: 0 is no fault.".into());
        }
        let ends = [
            fault.cut_after_bytes.is_some(),
            fault.length_delta.is_some(),
            fault.hang_up.is_some(),
            fault.chunk_delay_ms.is_some(),
        ];
        if ends.into_iter().filter(|given| *given).count() > 1 {
            return Err("fault: cut_after_bytes, length_delta, hang_up and chunk_delay_ms each \
                        decide how the body is sent: give one of them."
                .into());
        }
        if fault.pad_bytes.is_some_and(|bytes| bytes > MOST_PADDING) {
            return Err(format!("fault.pad_bytes: give at most {MOST_PADDING}."));
        }
        apply::check_headers(&fault.headers)
    }

    fn strikes(&self, path: &str) -> bool {
        self.path == "*" || self.path == path
    }
}

const MOST_PADDING: usize = 64 * 1024 * 1024;

/// The kinds of faults, for sentences.
const KINDS: &str = "status, delay_ms, chunk_delay_ms, cut_after_bytes, length_delta, \
                                hang_up, echo, body, pad_bytes, headers";

/// The faults that are armed.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    /// Arms a fault that was checked.
    pub(crate) fn arm(&self, armed: Armed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(armed);
    }

    /// What is armed, in the order in which it strikes.
    pub(crate) fn all(&self) -> Vec<Armed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Disarms everything.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault that strikes this request: the first one armed for its path. One that is used up is gone.
    fn strike(&self, path: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = faults.iter().position(|armed| armed.strikes(path))?;
        let armed = faults.get_mut(position)?;
        let fault = armed.fault.clone();
        match &mut armed.times {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                faults.remove(position);
            }
            None => {}
        }
        Some(fault)
    }
}
