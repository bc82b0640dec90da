//! One setup at a time: a lock file that ends with the process that holds it.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Outcome};
use crate::group::{interrupted, interruption};
use crate::run::{Progress, say};

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting for whoever holds it; `what` says what it guards.
    pub fn take(path: &Path, what: &str) -> Outcome<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).doing("create", dir)?;
        }
        let file = File::create(path).doing("open the lock file", path)?;
        let started = Instant::now();
        let mut progress = Progress::new();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).doing("lock", path),
            }
            if !told {
                say(&format!("another xtask is busy with {what}; waiting for it"));
                told = true;
            }
            if interrupted() {
                progress.clear();
                return Err(interruption());
            }
            progress.beat(&format!("waiting for {what}"), started.elapsed(), Path::new(""));
            thread::sleep(Duration::from_millis(100));
        }
        progress.clear();
        Ok(Self { _file: file })
    }
}
