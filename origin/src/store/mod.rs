//! The query layer: everything that knows SQL. Routes see typed rows and asynchronous methods, so that
//! another database can stand behind the same methods.

mod analytics;
mod events;
mod export;
mod live;
mod operations;
mod rows;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};

pub(crate) use analytics::{CategoryDay, Comparison, RevenueDay};
pub(crate) use events::{CreatedBreach, CreatedOrder, CreatedQuantity, NewBreach, NewOrder, NewQuantity, Refusal};
pub(crate) use export::{Export, ExportRow};

use crate::{clock::Clock, seed};

const SCHEMA: &str = include_str!("schema.sql");
const VIEWS: [&str; 2] = [include_str!("views_operations.sql"), include_str!("views_analytics.sql")];

/// The database did not answer. The sentence is for the log, not for clients.
#[derive(Debug)]
pub(crate) struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// The tables and views of all shops.
#[derive(Clone)]
pub(crate) struct Store {
    database: Arc<Mutex<Database>>,
    clock: Arc<Clock>,
}

/// An open database with tables and views.
pub(crate) struct Database {
    connection: Connection,
    business_day: String,
}

impl Database {
    /// Opens the database, in memory unless a file is named, and seeds it as of `start` if it is empty.
    ///
    /// # Errors
    /// A sentence when the file cannot be used, or was seeded with another seed.
    pub(crate) fn open(file: Option<&Path>, seed: u32, start: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut connection = match file {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.set_prepared_statement_cache_capacity(64);
        match seed_of(&connection)? {
            None => {
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                for views in VIEWS {
                    transaction.execute_batch(views)?;
                }
                seed::fill(&transaction, seed, start)?;
                transaction.commit()?;
                connection.execute_batch("ANALYZE")?;
            }
            Some(other) if other != seed => {
                return Err(StoreError(format!(
                    "It was seeded with {other}: start with --seed {other}, or remove the file to \
                     seed it with {seed}."
                )));
            }
            Some(_) => {}
        }
        Ok(Self { connection, business_day: String::new() })
    }
}

impl Store {
    /// The store over a database, on a clock.
    pub(crate) fn new(database: Database, clock: Arc<Clock>) -> Self {
        Self { database: Arc::new(Mutex::new(database)), clock }
    }

    /// The shops there are.
    pub(crate) async fn shops(&self) -> Result<Vec<String>, StoreError> {
        self.run(|connection| {
            let mut statement = connection.prepare("SELECT shop_domain FROM shops ORDER BY rowid")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Does work on the database, off the threads that serve sockets, on the day that it is.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let today = self.clock.today().to_string();
        let done = tokio::task::spawn_blocking(move || {
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            if database.business_day != today {
                database.connection.execute("UPDATE shops SET business_day = ?1 WHERE business_day <> ?1", [&today])?;
                database.business_day = today;
            }
            work(&mut database.connection)
        });
        match done.await {
            Ok(result) => result.map_err(StoreError::from),
            Err(stopped) => Err(StoreError(stopped.to_string())),
        }
    }
}

fn seed_of(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    let seeded: bool =
        connection
            .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'seeding')", [], |row| row.get(0))?;
    if !seeded {
        return Ok(None);
    }
    connection.query_row("SELECT seed FROM seeding", [], |row| row.get(0)).optional()
}
