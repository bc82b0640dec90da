//! The SQLite of a Durable Object as a ledger's disk. What is written between two awaits becomes durable together,
//! and no answer leaves before it has.

use super::js::get;
use crate::ledger::desk::{Disk, Message};
use crate::ledger::outbox::{Kind, Leg, State};
use crate::ports::Failure;
use crate::time::UnixMillis;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::Cell;
use wasm_bindgen::JsValue;
use worker::{Error, SqlStorage};

/// `line` has one row.
const TABLES: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS line (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS receipt (id TEXT PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS message (source TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, \
     receipt TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (source, id))",
    "CREATE INDEX IF NOT EXISTS message_digest ON message (source, digest)",
    "CREATE TABLE IF NOT EXISTS leg (id INTEGER PRIMARY KEY AUTOINCREMENT, receipt TEXT NOT NULL, kind TEXT NOT NULL, \
     what TEXT NOT NULL, since INTEGER NOT NULL, due INTEGER NOT NULL, attempts INTEGER NOT NULL, state TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS leg_receipt ON leg (receipt)",
    "CREATE INDEX IF NOT EXISTS leg_due ON leg (state, due)",
    "CREATE TABLE IF NOT EXISTS tenant (name TEXT PRIMARY KEY, is_listed INTEGER NOT NULL)",
];

const LEG: &str = "SELECT id, receipt, kind, what, since, due, attempts, state FROM leg";

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

    fn select_legs(&self, rest: &str, bindings: Vec<JsValue>) -> Result<Vec<Leg>, Failure> {
        let legs: Option<Vec<Leg>> = self.run(&format!("{LEG} {rest}"), bindings)?.iter().map(leg).collect();
        legs.ok_or_else(|| Failure("a leg on disk cannot be read".to_string()))
    }

    /// Until when the zone's API is left alone, if its last call failed: as long as a tag waits to be tried again.
    pub fn tags_wait_until(&self) -> Result<Option<UnixMillis>, Failure> {
        let rest = "WHERE state = ? AND kind = ? AND attempts > 0 ORDER BY due DESC LIMIT 1";
        let bindings = vec![State::Waiting.as_str().into(), Kind::Tag.as_str().into()];
        Ok(self.select_legs(rest, bindings)?.first().map(|leg| leg.due))
    }

    /// Has every tag wait until then.
    pub fn put_tags_off(&self, until: UnixMillis) -> Result<(), Failure> {
        let statement = "UPDATE leg SET due = ? WHERE state = ? AND kind = ? AND due < ?";
        let (waiting, tag) = (State::Waiting.as_str().into(), Kind::Tag.as_str().into());
        self.write(statement, vec![number(until), waiting, tag, number(until)])
    }

    /// Whether a tenant is listed, at the global ledger.
    pub fn is_listed(&self, tenant: &str) -> Result<bool, Failure> {
        let rows = self.run("SELECT is_listed FROM tenant WHERE name = ?", vec![tenant.into()])?;
        Ok(rows.first().and_then(|row| get(row, "is_listed").as_f64()) == Some(1.0))
    }

    /// Notes, at the global ledger, whether a tenant is listed.
    pub fn list(&self, tenant: &str, is_listed: bool) -> Result<(), Failure> {
        let bindings = vec![tenant.into(), JsValue::from(u8::from(is_listed))];
        self.write("INSERT OR REPLACE INTO tenant (name, is_listed) VALUES (?, ?)", bindings)
    }
}

fn leg(row: &JsValue) -> Option<Leg> {
    let text = |column: &str| get(row, column).as_string();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers that were written here")]
    let number = |column: &str| get(row, column).as_f64().map(|number| number as u64);
    Some(Leg {
        id: number("id")?,
        receipt: text("receipt")?,
        kind: Kind::parse(&text("kind")?)?,
        what: text("what")?,
        since: UnixMillis(number("since")?),
        due: UnixMillis(number("due")?),
        attempts: u32::try_from(number("attempts")?).ok()?,
        state: State::parse(&text("state")?)?,
    })
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
        self.write("INSERT OR REPLACE INTO message (source, id, digest, receipt, at) VALUES (?, ?, ?, ?, ?)", bindings)
    }

    fn write_leg(&self, leg: &Leg) -> Result<(), Failure> {
        let Leg { receipt, kind, what, since, due, attempts, state, .. } = leg;
        let words = [receipt.as_str(), kind.as_str(), what.as_str(), state.as_str()];
        let mut bindings: Vec<JsValue> = words.into_iter().map(JsValue::from).collect();
        bindings.extend([number(*since), number(*due), JsValue::from(*attempts)]);
        let columns = "receipt, kind, what, state, since, due, attempts";
        self.write(&format!("INSERT INTO leg ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"), bindings)
    }

    fn move_leg(&self, leg: &Leg) -> Result<(), Failure> {
        let Leg { id, what, due, attempts, state, .. } = leg;
        let mut bindings = vec![what.as_str().into(), number(*due), JsValue::from(*attempts), state.as_str().into()];
        bindings.push(number(UnixMillis(*id)));
        self.write("UPDATE leg SET what = ?, due = ?, attempts = ?, state = ? WHERE id = ?", bindings)
    }

    fn legs(&self, receipt: &str) -> Result<Vec<Leg>, Failure> {
        self.select_legs("WHERE receipt = ? ORDER BY id", vec![receipt.into()])
    }

    fn due_legs(&self, by: UnixMillis, at_most: u32) -> Result<Vec<Leg>, Failure> {
        let rest = "WHERE state = ? AND due <= ? ORDER BY due, id LIMIT ?";
        self.select_legs(rest, vec![State::Waiting.as_str().into(), number(by), at_most.into()])
    }

    fn next_due(&self) -> Result<Option<UnixMillis>, Failure> {
        let next = self.select_legs("WHERE state = ? ORDER BY due LIMIT 1", vec![State::Waiting.as_str().into()])?;
        Ok(next.first().map(|leg| leg.due))
    }

    fn forget(&self, before: UnixMillis) -> Result<(), Failure> {
        self.write("DELETE FROM receipt WHERE at < ?", vec![number(before)])?;
        self.write("DELETE FROM message WHERE at < ?", vec![number(before)])?;
        self.write("DELETE FROM leg WHERE since < ?", vec![number(before)])
    }
}
