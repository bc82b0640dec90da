//! The public suite for caches on the Worker of tests/follow, as a command.

use std::path::Path;
use std::process::ExitCode;

use lab::conformance::conformance;

const HELP: &str = "\
Usage: conformance --suite <clone> [--accept]

  --suite   a clone of http-tests/cache-tests
  --accept  what it says becomes the list, and CONFORMANCE.md is written";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (clone, accept) = match arguments.as_slice() {
        ["--suite", clone] => (clone, false),
        ["--suite", clone, "--accept"] => (clone, true),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match conformance(Path::new(clone), accept) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("conformance: {sentence}");
            ExitCode::FAILURE
        }
    }
}
