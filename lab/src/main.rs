//! The lab as a command: three locations before an origin that runs elsewhere on this machine, until Ctrl-C.

use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use lab::harness::OPERATOR_TOKEN;
use lab::stores::Consistency;
use lab::{Lab, Layout};

const HELP: &str = "\
The built Worker as three locations on 127.0.0.1, before an origin of yours.

Usage: lab --origin URL [--port PORT] [--kv-lag MS]

  --origin URL   where the origin answers
  --port PORT    the first location's port (8790); the others follow it; 0 takes any that are free
  --kv-lag MS    how long one location's writes to KV take to another, and how long misses are remembered (2000)
  --help         this text";

#[derive(Debug, PartialEq, Eq)]
struct Settings {
    origin: String,
    port: u16,
    kv_lag: u64,
}

fn main() -> ExitCode {
    let settings = match parse(std::env::args().skip(1)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(sentence) => return refuse(&sentence),
    };
    let (interrupt, interrupted) = channel();
    let interrupt = move || {
        // Where nobody listens any more, it is ending already.
        let _sent = interrupt.send(());
    };
    if let Err(error) = ctrlc::set_handler(interrupt) {
        return refuse(&format!("Ctrl-C cannot be waited for: {error}."));
    }
    let consistency = Consistency::lagging(Duration::from_millis(settings.kv_lag));
    let layout = Layout::new().origin(&settings.origin).kv(consistency);
    let lab = if settings.port == 0 { layout.start() } else { layout.first_port(settings.port).start() };
    println!("{}", welcome(&lab, settings.kv_lag));
    // The handler is never dropped, so this ends with an interrupt alone.
    let _interrupt = interrupted.recv();
    ExitCode::SUCCESS
}

fn refuse(sentence: &str) -> ExitCode {
    eprintln!("lab: {sentence}");
    ExitCode::from(2)
}

/// None asks for help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Settings>, String> {
    let (mut origin, mut port, mut kv_lag) = (None, 8790, 2000);
    while let Some(argument) = arguments.next() {
        if matches!(argument.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value: see --help."))?;
        let bad = || format!("{argument}: {value:?} is no number that fits.");
        match argument.as_str() {
            "--origin" => origin = Some(value),
            "--port" => port = value.parse().map_err(|_| bad())?,
            "--kv-lag" => kv_lag = value.parse().map_err(|_| bad())?,
            _ => return Err(format!("There is no {argument:?}: see --help.")),
        }
    }
    let origin = origin.ok_or("--origin is missing: see --help.")?;
    Ok(Some(Settings { origin, port, kv_lag }))
}

fn welcome(lab: &Lab, kv_lag: u64) -> String {
    let workers = lab.workers();
    let lines: Vec<_> =
        workers.iter().map(|worker| format!("  {:<10} http://{}", worker.name(), worker.address())).collect();
    let locations = lines.join("\n");
    let first = workers.first().map_or_else(String::new, |worker| format!("http://{}", worker.address()));
    format!(
        "\
The locations (KV takes {kv_lag} ms from one to another):

{locations}

What can be done to the way from one of them to the ledger, or with `origin` instead of `ledger` to the origin:

  curl {first}/test/ledger/delay/300          each call takes so many ms longer to arrive
  curl {first}/test/ledger/delay-answer/300   each answer takes so many ms longer to come back
  curl {first}/test/ledger/unreachable        each call fails; `none` heals
  curl {first}/test/ledger/calls              how many calls were made, by path

A purge:

  curl -X POST {first}/cache/purge -H 'Authorization: Bearer {OPERATOR_TOKEN}' -d '{{\"mode\":\"hard\",\"all\":true}}'
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<(&str, u16, u64)>, &str>) {
        let of = |(origin, port, kv_lag): (&str, _, _)| Settings { origin: origin.to_owned(), port, kv_lag };
        let parsed = parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(parsed, expected.map(|read| read.map(of)).map_err(str::to_owned), "{line}");
    }

    #[test]
    fn all_but_the_origin_may_be_left_out() {
        check("--origin http://127.0.0.1:1", Ok(Some(("http://127.0.0.1:1", 8790, 2000))));
        check("--kv-lag 5 --port 0 --origin o", Ok(Some(("o", 0, 5))));
        check("--help", Ok(None));
    }

    #[test]
    fn a_mistake_is_named() {
        check("", Err("--origin is missing: see --help."));
        check("--origin", Err("--origin needs a value: see --help."));
        check("--origin o --port 65536", Err("--port: \"65536\" is no number that fits."));
        check("--origin o --kv-lag 2s", Err("--kv-lag: \"2s\" is no number that fits."));
        check("--quick 1", Err("There is no \"--quick\": see --help."));
    }
}
