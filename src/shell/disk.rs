//! The SQLite of a Durable Object as a ledger's disk. What is written between two awaits becomes durable together,
//! and no answer leaves before it has.

use super::js::get;
use crate::ledger::desk::{Disk, Message};
use crate::ports::Failure;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::Cell;
use wasm_bindgen::JsValue;
use worker::{Error, SqlStorage};

/// `line` has one row.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS line (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS receipt (id TEXT PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS message (source TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, \
     receipt TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (source, id))",
    "CREATE INDEX IF NOT EXISTS message_digest ON message (source, digest)",
];

/// One Durable Object's.
pub struct SqlDisk {
    sql: SqlStorage,
    has_tables: Cell<bool>,
}

impl SqlDisk {
    pub fn new(sql: SqlStorage) -> Self {
        Self { sql, has_tables: Cell::new(false) }
    }

    /// Runs a statement, and answers its rows as objects.
    pub fn run(&self, statement: &str, bindings: Vec<JsValue>) -> Result<Vec<JsValue>, Failure> {
        let run = |statement: &str, bindings| self.sql.exec_raw(statement, bindings).and_then(Iterator::collect);
        if !self.has_tables.get() {
            for table in TABLES {
                let _no_rows: Vec<JsValue> = run(table, Vec::new()).map_err(|error| failure(&error))?;
            }
            self.has_tables.set(true);
        }
        run(statement, bindings).map_err(|error| failure(&error))
    }

    fn write(&self, statement: &str, bindings: Vec<JsValue>) -> Result<(), Failure> {
        self.run(statement, bindings).map(drop)
    }
}

fn failure(error: &Error) -> Failure {
    Failure(error.to_string())
}

/// Milliseconds since 1970 are exact in a number for 285,000 years.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub fn number(at: UnixMillis) -> JsValue {
    JsValue::from(at.0 as f64)
}

fn text(rows: &[JsValue], column: &str) -> Option<String> {
    get(rows.first()?, column).as_string()
}

impl Disk for SqlDisk {
    fn line(&self) -> Result<Option<String>, Failure> {
        Ok(text(&self.run("SELECT text FROM line", Vec::new())?, "text"))
    }

    fn write_line(&self, text: &str) -> Result<(), Failure> {
        self.write("INSERT OR REPLACE INTO line (one, text) VALUES (1, ?)", vec![text.into()])
    }

    fn receipt(&self, id: &str) -> Result<Option<String>, Failure> {
        Ok(text(&self.run("SELECT text FROM receipt WHERE id = ?", vec![id.into()])?, "text"))
    }

    fn write_receipt(&self, id: &str, at: UnixMillis, text: &str) -> Result<(), Failure> {
        self.write("INSERT INTO receipt (id, at, text) VALUES (?, ?, ?)", vec![id.into(), number(at), text.into()])
    }

    fn message(&self, source: &str, id: &str) -> Result<Option<(String, String)>, Failure> {
        let statement = "SELECT digest, receipt FROM message WHERE source = ? AND id = ?";
        let rows = self.run(statement, vec![source.into(), id.into()])?;
        Ok(text(&rows, "digest").zip(text(&rows, "receipt")))
    }

    fn message_like(&self, source: &str, digest: &str) -> Result<Option<String>, Failure> {
        let statement = "SELECT receipt FROM message WHERE source = ? AND digest = ?";
        Ok(text(&self.run(statement, vec![source.into(), digest.into()])?, "receipt"))
    }

    fn write_message(&self, message: &Message<'_>) -> Result<(), Failure> {
        let Message { source, id, digest, receipt, at } = *message;
        let bindings = vec![source.into(), id.into(), digest.into(), receipt.into(), number(at)];
        self.write("INSERT INTO message (source, id, digest, receipt, at) VALUES (?, ?, ?, ?, ?)", bindings)
    }

    fn forget(&self, before: UnixMillis) -> Result<(), Failure> {
        self.write("DELETE FROM receipt WHERE at < ?", vec![number(before)])?;
        self.write("DELETE FROM message WHERE at < ?", vec![number(before)])
    }
}
