//! `cargo xtask dev`: the reference origin and the Worker side by side on 127.0.0.1, until Ctrl-C.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::access;
use crate::args::{Access, Dev};
use crate::build::build;
use crate::failure::{Doing, Failure, Outcome};
use crate::group::{Group, TICK, ending, interrupted};
use crate::http::{ask, local};
use crate::project::Project;
use crate::run::{Progress, command, path_with, say, shown};
use crate::setup::setup;

/// How long both may take until they answer.
const START_LIMIT: Duration = Duration::from_mins(2);

/// One of the two servers.
pub struct Server {
    /// What it is called in sentences.
    pub name: &'static str,
    /// Where it listens.
    pub port: u16,
    /// The path that says whether it runs.
    pub health: &'static str,
    /// Its processes.
    pub group: Group,
}

impl Server {
    /// Starts the reference origin, which is built, with these flags as well. It tells the edge what changed.
    pub fn origin(project: &Project, port: u16, edge: u16, flags: &[&str]) -> Outcome<Self> {
        let program = project.target().join("debug").join("reference-origin");
        let mut origin = command(program, &project.root);
        origin
            .args(["--port", &port.to_string()])
            .args(["--edge-url", &format!("http://127.0.0.1:{edge}")])
            .args(flags);
        let group = Group::spawn("the reference origin", &mut origin)?;
        Ok(Self { name: "the reference origin", port, health: "/dev/health", group })
    }
}

/// Runs both until Ctrl-C, which is success, or until one of them ends, which is not.
pub fn dev(project: &Project, options: Dev) -> Outcome {
    let started = Instant::now();
    // Asked before the long steps, so that nobody waits for them in vain.
    check_free(options.edge, "--port")?;
    check_free(options.origin, "--origin-port")?;

    let ready = setup(project)?;
    build(project, &ready)?;
    let mut cargo = command("cargo", &project.root);
    shown("building the reference origin", cargo.args(["build", "--quiet", "-p", "reference-origin"]))?;

    say("starting the reference origin and wrangler dev");
    let (flags, variables) = match options.access {
        Access::Open => (&[][..], &[][..]),
        Access::Session => (&access::ORIGIN_FLAGS[..], &access::VARIABLES[..]),
    };
    let origin = Server::origin(project, options.origin, options.edge, flags)?;
    let edge = Group::spawn("wrangler dev", &mut wrangler(project, options, variables)?)?;
    // Dropped, and so stopped, in this order: the edge before what it asks.
    let mut servers =
        [Server { name: "the Worker (wrangler dev)", port: options.edge, health: "/healthz", group: edge }, origin];
    attend(&mut servers, || match options.access {
        Access::Open => Ok(welcome(options, started.elapsed(), &try_open(options))),
        Access::Session => {
            let shops = access::list_shops(options)?;
            Ok(welcome(options, started.elapsed(), &access::try_session(options, &shops)))
        }
    })
}

/// Finds a welcome when both answer and says it, and stops both after Ctrl-C, or when one of them ends.
pub fn attend(servers: &mut [Server; 2], welcome: impl FnOnce() -> Outcome<String>) -> Outcome {
    let outcome = wait_for_answers(servers).and_then(|()| {
        if !interrupted() {
            println!("{}", welcome()?);
        }
        watch(servers)
    });
    if let Err(failure) = &outcome {
        say(&format!("{failure}; stopping the other"));
    } else {
        say("stopping the Worker and the reference origin");
    }
    for server in &mut *servers {
        server.group.ask_to_end();
    }
    for server in servers {
        server.group.stop();
    }
    say("both are stopped");
    outcome
}

/// wrangler for one port: state and inspector of its own, so that several run side by side; nothing that needs a network.
fn wrangler(project: &Project, options: Dev, variables: &[&str]) -> Outcome<Command> {
    let bin = project.npm_bin();
    let state = Path::new(".wrangler").join(format!("state-{}", options.edge));
    let mut wrangler = command(bin.join("wrangler"), &project.root);
    wrangler
        .args(["dev", "--local", "--ip", "127.0.0.1"])
        .args(["--port", &options.edge.to_string()])
        .args(["--inspector-port", &free_port()?.to_string()])
        .args(["--var", &format!("ORIGIN:http://127.0.0.1:{}", options.origin)])
        .args(variables.iter().flat_map(|variable| ["--var", variable]))
        .arg("--persist-to")
        .arg(state)
        .arg("--show-interactive-dev-session=false")
        .env("PATH", path_with(&[&bin]))
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    Ok(wrangler)
}

/// Waits until both answer; ends early when one of them does, or on Ctrl-C.
fn wait_for_answers(servers: &mut [Server]) -> Outcome {
    let started = Instant::now();
    let mut progress = Progress::new();
    let mut waiting: Vec<usize> = (0..servers.len()).collect();
    while !waiting.is_empty() && !interrupted() {
        check_alive(servers)?;
        let mut refused = Ok(());
        waiting.retain(|&index| {
            let Some(server) = servers.get(index) else { return false };
            match probe(server.port, server.health) {
                Answer::Healthy => false,
                Answer::None => true,
                Answer::Refused(why) => {
                    refused = Err(Failure::new(format!("{} is not ready: {why}", server.name)));
                    true
                }
            }
        });
        refused?;
        let names: Vec<_> = waiting.iter().filter_map(|&index| servers.get(index)).map(|server| server.name).collect();
        let names = names.join(" and ");
        if started.elapsed() > START_LIMIT {
            return Err(Failure::new(format!("{names} did not answer within {} s", START_LIMIT.as_secs())));
        }
        progress.beat(&format!("waiting for {names} to answer"), started.elapsed(), Path::new(""));
        thread::sleep(TICK * 4);
    }
    progress.clear();
    Ok(())
}

/// Waits for Ctrl-C, or for the end of one of the servers.
fn watch(servers: &mut [Server]) -> Outcome {
    while !interrupted() {
        check_alive(servers)?;
        thread::sleep(TICK * 4);
    }
    Ok(())
}

fn check_alive(servers: &mut [Server]) -> Outcome {
    for server in servers {
        if let Some(status) = server.group.poll()? {
            return Err(Failure::new(format!("{} ended by itself with {}", server.name, ending(status))));
        }
    }
    Ok(())
}

/// A failure that names the flag, where something else listens.
pub fn check_free(port: u16, flag: &str) -> Outcome {
    TcpListener::bind(local(port)).map(drop).map_err(|error| {
        Failure::new(format!(
            "port {port} cannot be used ({error}): stop what listens there, or choose another with `{flag} <n>`"
        ))
    })
}

fn free_port() -> Outcome<u16> {
    TcpListener::bind(local(0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .doing("find a free port on", Path::new("127.0.0.1"))
}

/// What a server says of its health.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// 200.
    Healthy,
    /// It does not answer yet, or not with one of these two.
    None,
    /// 503: it runs, and waiting will not mend it.
    Refused(String),
}

fn probe(port: u16, path: &str) -> Answer {
    ask(port, "GET", path, "", "").map_or(Answer::None, |(status, body)| judge(status, &body))
}

/// Reads an answer to a question after health.
fn judge(status: u16, body: &str) -> Answer {
    match status {
        200 => Answer::Healthy,
        503 if body.contains("misconfigured") => {
            let detail = body.split_once("\"detail\":\"").and_then(|(_, rest)| rest.split('"').next());
            Answer::Refused(detail.unwrap_or("it does not say why").to_owned())
        }
        _ => Answer::None,
    }
}

fn welcome(options: Dev, elapsed: Duration, to_try: &str) -> String {
    let Dev { edge, origin, .. } = options;
    format!(
        "
Ready after {:.1} s. Ctrl-C stops both.

  the edge     http://127.0.0.1:{edge}
  the origin   http://127.0.0.1:{origin}

{to_try}",
        elapsed.as_secs_f64()
    )
}

/// What a newcomer does first, where everyone may read.
fn try_open(Dev { edge, origin, .. }: Dev) -> String {
    format!(
        "Try (the first one twice: a miss, then a hit):

  curl -i http://127.0.0.1:{edge}/api/dashboard/tiles/sales-pulse
  curl -i 'http://127.0.0.1:{edge}/api/dashboard/trends/revenue?days=30'
  curl -s http://127.0.0.1:{origin}/dev/requests
  curl -s -d '{{\"total\":1234.56}}' http://127.0.0.1:{origin}/dev/orders
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_chooses_another() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = check_free(port, "--origin-port").unwrap_err().0;
        assert!(text.starts_with(&format!("port {port} cannot be used")), "{text}");
        assert!(text.ends_with("`--origin-port <n>`"), "{text}");
        drop(listener);
        assert_eq!(check_free(port, "--port"), Ok(()));
    }

    #[test]
    fn a_worker_with_wrong_settings_is_not_waited_for() {
        let wrong = "{\"detail\":\"X is not set.\",\"status\":\"misconfigured\"}";
        assert_eq!(judge(503, wrong), Answer::Refused("X is not set.".to_owned()));
        assert_eq!(judge(503, ""), Answer::None);
        assert_eq!(judge(200, "{}"), Answer::Healthy);
        assert_eq!(judge(404, wrong), Answer::None);
    }

    #[test]
    fn the_welcome_names_both_ports_and_four_things_to_try() {
        let options = Dev { edge: 9000, origin: 9001, access: Access::Open };
        let text = welcome(options, Duration::from_secs(3), &try_open(options));
        assert_eq!(text.matches("  curl ").count(), 4);
        assert!(text.contains(":9000\n") && text.contains(":9001\n"));
    }
}
