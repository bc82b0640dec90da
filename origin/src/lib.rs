//! The reference origin: a dashboard API over real tables, for the edge to stand in front of.
//!
//! A request goes through `routes` (admitted, counted, then `faults`), is given its `shop`, asks the `store` for
//! rows, and is answered in an `envelope`. `actions` change the shop, and `webhooks` tell the edge of it;
//! `dev` does so by hand, arms faults, gives out tokens of a `session` and shows what came by an `echo`; `seed` fills
//! an empty database; `wire` is the connection under it all.

mod actions;
mod body;
mod clock;
mod credential;
mod dev;
mod echo;
mod envelope;
mod faults;
mod routes;
mod seed;
mod session;
mod shop;
mod state;
mod store;
mod webhooks;
mod wire;

use std::{fmt, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;

use crate::{
    clock::Clock,
    session::App,
    state::State,
    store::{Database, Store},
    webhooks::Webhooks,
    wire::{Takeover, WireListener},
};

pub use credential::Credential;
pub use webhooks::{EdgeUrl, Patience, Secret};

/// The seed that is used when none is given.
pub const DEFAULT_SEED: u32 = 1932;
/// The port that is used when none is given.
pub const DEFAULT_PORT: u16 = 8788;

/// The secret that is used when none is given. The edge knows it in development, and nowhere else.
pub const DEFAULT_WEBHOOK_SECRET: &str = "whsec_aG90cm9kLWVkZ2UtZGV2ZWxvcG1lbnQtd2ViaG9vay1rZXk=";

/// The key of the app that session tokens are for, when none is given.
pub const DEFAULT_APP_KEY: &str = "dev-app-key";
/// The secret that session tokens are signed with, when none is given. The edge knows it in development, and nowhere else.
pub const DEFAULT_APP_SECRET: &str = "dev-app-secret";

/// How long open streams may hold up a stop.
const GRACE: Duration = Duration::from_secs(1);

/// How an origin is started.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// Decides every figure.
    pub seed: u32,
    /// The moment at which the clock starts; the system's unless given.
    pub now: Option<DateTime<Utc>>,
    /// The database's file; in memory unless given.
    pub db: Option<PathBuf>,
    /// The edge that is told what changed, if any is.
    pub edge: Option<EdgeUrl>,
    /// What it is told is signed with this secret, [`DEFAULT_WEBHOOK_SECRET`] unless given.
    pub webhook_secret: Option<Secret>,
    /// How long the edge is given to take it.
    pub patience: Patience,
    /// The key of the app that session tokens are for, [`DEFAULT_APP_KEY`] unless given.
    pub app_key: Option<Credential>,
    /// Session tokens are signed with this secret, [`DEFAULT_APP_SECRET`] unless given.
    pub app_secret: Option<Credential>,
    /// What the edge shows; who does not is refused, if it is given.
    pub edge_secret: Option<Credential>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            seed: DEFAULT_SEED,
            now: None,
            db: None,
            edge: None,
            webhook_secret: None,
            patience: Patience::default(),
            app_key: None,
            app_secret: None,
            edge_secret: None,
        }
    }
}

/// Why an origin does not start, in a sentence that says what to do.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// An origin that listens, and answers once it is run.
pub struct Origin {
    listener: TcpListener,
    port: u16,
    state: State,
}

impl Origin {
    /// Takes the port, and opens and seeds the database.
    ///
    /// # Errors
    /// When the port is taken or the database's file cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let port = config.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
            StartError(format!(
                "Port {port} of 127.0.0.1 cannot be used ({error}): stop what listens there, or \
                 choose another with --port."
            ))
        })?;
        let port = listener.local_addr().map_or(port, |address| address.port());
        let start = config.now.unwrap_or_else(clock::system_now);
        let database = Database::open(config.db.as_deref(), config.seed, start)
            .map_err(|error| database_error(&config, &error))?;
        // Only now, so that a chosen moment is not over before anyone can ask.
        let clock = Arc::new(Clock::starting(config.now));
        let store = Store::new(database, Arc::clone(&clock));
        let shops = store.shops().await.map_err(|error| database_error(&config, &error))?;
        let secret = config.webhook_secret.map_or_else(|| DEFAULT_WEBHOOK_SECRET.parse(), Ok).map_err(StartError)?;
        let webhooks = Webhooks::new(config.edge, secret, config.patience);
        let key = config.app_key.map_or_else(|| DEFAULT_APP_KEY.parse(), Ok).map_err(StartError)?;
        let secret = config.app_secret.map_or_else(|| DEFAULT_APP_SECRET.parse(), Ok).map_err(StartError)?;
        let app =
            App::new(key, &secret).map_err(|error| StartError(format!("The app's secret cannot be used: {error}.")))?;
        let state = State::new(store, clock, shops, webhooks, app, config.edge_secret);
        Ok(Self { listener, port, state })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers until `stop` is ready, then lets answers that have begun come to their end, but not for long.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let service = routes::router(self.state).into_make_service_with_connect_info::<Takeover>();
        let serving = axum::serve(WireListener(self.listener), service).with_graceful_shutdown(async move {
            stop.await;
            // Nobody listens any more if serving has failed.
            let _ = stopping.send(());
        });
        tokio::select! {
            result = async { serving.await } => result,
            () = async {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(GRACE).await;
            } => Ok(()),
        }
    }
}

fn database_error(config: &Config, error: &store::StoreError) -> StartError {
    let place = config.db.as_ref().map_or("in memory".to_owned(), |path| path.display().to_string());
    StartError(format!("The database {place} cannot be used. {error}"))
}
