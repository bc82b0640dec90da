//! The reference origin as a command.

use std::{process::ExitCode, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use reference_origin::{
    Config, Credential, DEFAULT_APP_KEY, DEFAULT_APP_SECRET, DEFAULT_PORT, DEFAULT_SEED, DEFAULT_WEBHOOK_SECRET, Origin,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

enum Command {
    Run(Box<Config>),
    Help,
}

/// How long the system may take to look up the edge's name, once the origin has stopped.
const GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let config = match parse(std::env::args().skip(1)) {
        Ok(Command::Run(config)) => *config,
        Ok(Command::Help) => {
            println!("{}", help());
            return ExitCode::SUCCESS;
        }
        Err(sentence) => return refuse(&sentence),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("The system gives no threads or no sockets: {error}.")),
    };
    let code = runtime.block_on(run(config));
    runtime.shutdown_timeout(GRACE);
    code
}

async fn run(config: Config) -> ExitCode {
    let origin = match Origin::start(config).await {
        Ok(origin) => origin,
        Err(error) => return refuse(&error.to_string()),
    };
    println!(
        "The reference origin answers at http://127.0.0.1:{0} (http://127.0.0.1:{0}/dev/ lists what it can be told).",
        origin.port()
    );
    match origin.run(stop_signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("The origin stopped: {error}.")),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    eprintln!("reference-origin: {sentence}");
    ExitCode::from(2)
}

/// Ready at Ctrl-C and at SIGTERM.
async fn stop_signal() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            eprintln!("reference-origin: SIGTERM cannot be waited for: {error}.");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => {
            if let Err(error) = result {
                eprintln!("reference-origin: Ctrl-C cannot be waited for: {error}.");
                terminate.recv().await;
            }
        }
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut config = Config::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (flag, attached) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        if matches!(flag, "--help" | "-h") {
            return Ok(Command::Help);
        }
        let mut value =
            || attached.clone().or_else(|| arguments.next()).ok_or(format!("{flag} needs a value: see --help."));
        match flag {
            "--port" => {
                let given = value()?;
                config.port = given.parse().map_err(|_| format!("--port: {given:?} is no port."))?;
            }
            "--seed" => {
                let given = value()?;
                config.seed =
                    given.parse().map_err(|_| format!("--seed: {given:?} is no whole number up to {}.", u32::MAX))?;
            }
            "--now" => {
                let given = value()?;
                config.now =
                    Some(moment(&given).ok_or(format!(
                        "--now: {given:?} is neither a moment such as 2026-11-20T14:05:00Z nor a day."
                    ))?);
            }
            "--db" => config.db = Some(value()?.into()),
            "--edge-url" => config.edge = Some(value()?.parse().map_err(|sentence| format!("--edge-url: {sentence}"))?),
            "--webhook-secret" => {
                let given = value()?.parse();
                config.webhook_secret = Some(given.map_err(|sentence| format!("--webhook-secret: {sentence}"))?);
            }
            "--app-key" => config.app_key = Some(credential(flag, &value()?)?),
            "--app-secret" => config.app_secret = Some(credential(flag, &value()?)?),
            "--edge-secret" => config.edge_secret = Some(credential(flag, &value()?)?),
            _ => return Err(format!("There is no {flag:?}: see --help.")),
        }
    }
    Ok(Command::Run(Box::new(config)))
}

fn credential(flag: &str, given: &str) -> Result<Credential, String> {
    given.parse().map_err(|sentence| format!("{flag}: {sentence}"))
}

/// A moment, or noon of a day.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let day: NaiveDate = text.parse().ok()?;
    Some(day.and_time(NaiveTime::from_hms_opt(12, 0, 0)?).and_utc())
}

fn help() -> String {
    format!(
        "A dashboard API over real tables, on 127.0.0.1.

Usage: reference-origin [--port PORT] [--seed NUMBER] [--now MOMENT] [--db FILE]
                        [--edge-url URL] [--webhook-secret SECRET] [--edge-secret SECRET]
                        [--app-key KEY] [--app-secret SECRET]

  --port PORT              the port to listen on ({DEFAULT_PORT}); 0 takes any that is free
  --seed NUMBER            decides every figure ({DEFAULT_SEED}); the same seed and day give the same figures
  --now MOMENT             starts the clock at a moment, such as 2026-11-20T14:05:00Z, or at noon of a day
  --db FILE                keeps the database in a file, and what events wrote to it; otherwise it is in memory
  --edge-url URL           tells the edge at http://HOST:PORT what changed, by Standard Webhooks; otherwise nobody
  --webhook-secret SECRET  signs what the edge is told: whsec_ and a key in base64
                           ({DEFAULT_WEBHOOK_SECRET})
  --edge-secret SECRET     refuses requests under /api/ without this in Edge-Secret; otherwise everyone may ask
  --app-key KEY            the app that session tokens are for ({DEFAULT_APP_KEY})
  --app-secret SECRET      signs session tokens ({DEFAULT_APP_SECRET})
  --help                   this text"
    )
}
