//! Why a task failed: one sentence for whoever ran it.

use std::fmt;
use std::io;
use std::path::Path;

/// A task's failure. Its text says what happened and, where it can, what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

/// What every task answers.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Adds to an I/O error what was being done, and to which path.
pub trait Doing<T> {
    /// `could not {what} {path}: {error}`
    fn doing(self, what: &str, path: &Path) -> Outcome<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: &str, path: &Path) -> Outcome<T> {
        self.map_err(|error| Failure(format!("could not {what} {}: {error}", path.display())))
    }
}
