//! The benchmarks, as commands. A benchmark that misses what it is for fails.

use std::process::ExitCode;

use lab::storm::Plan;
use lab::verify::Rounds;

const HELP: &str = "\
Usage: bench storm [--quick]
       bench verify

  storm     a storm of orders over three locations, while people look at the dashboard
  verify    what it costs to verify who reads, in CPU time of workerd

  --quick   one location for ten seconds
  --help    this text";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["storm"] => storm(&[Plan::OPERATORS, Plan::VISITORS]),
        ["storm", "--quick"] => storm(&[Plan::QUICK]),
        ["verify"] => verify(),
        ["--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn storm(plans: &[Plan]) -> ExitCode {
    let mut failed = false;
    for plan in plans {
        eprintln!("running: {}, for {} s", plan.name, plan.length.as_secs());
        let report = plan.run();
        println!("{report}");
        for failure in report.failures() {
            failed = true;
            eprintln!("bench: {failure}");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn verify() -> ExitCode {
    let report = Rounds::ORDINARY.run();
    println!("{report}");
    let failure = report.failure();
    if let Some(failure) = &failure {
        eprintln!("bench: {failure}");
    }
    if failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
