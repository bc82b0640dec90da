//! The benchmarks, as commands. A benchmark that misses what it is for fails.

use std::process::ExitCode;

use lab::storm::Plan;

const HELP: &str = "\
A storm of orders over three locations, while people look at the dashboard.

Usage: bench storm [--quick]

  --quick   one location for ten seconds
  --help    this text";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["storm"] => storm(&[Plan::OPERATORS, Plan::VISITORS]),
        ["storm", "--quick"] => storm(&[Plan::QUICK]),
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
