//! Attacks on a shared cache, each under a number that `cases.txt` explains: what an attacker sends, and then what a
//! clean request of a victim is answered, what the origin got, and what is in the stores.
//!
//! Each section is one test. It runs all of its cases, whichever fail, and writes their verdicts to
//! `target/verdicts/attacks/`, from where `cargo xtask test` prints them as one table.

mod admin;
mod authorization;
mod content;
mod fields;
mod fixtures;
mod key;
mod login;
mod pages;
mod path;
mod stage;
mod unkeyed;

use std::any::Any;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lab::config::root;
use stage::Stage;

/// Every case: its number, its section and what it is about.
const CASES: &str = include_str!("cases.txt");

/// A case and its number.
type Case = (&'static str, fn(&Stage));

/// Runs the cases of a section.
#[track_caller]
fn run(section: &str, cases: &[Case]) {
    let listed: Vec<_> = CASES.lines().filter_map(|line| number_in(section, line)).collect();
    let written: Vec<_> = cases.iter().map(|(number, _)| *number).collect();
    assert_eq!(written, listed, "the cases of section {section}, and those that cases.txt lists");

    let (mut stage, mut verdicts, mut failed) = (Stage::default(), String::new(), Vec::new());
    for (number, case) in cases {
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&stage)));
        let verdict = match outcome {
            Ok(()) => "holds".to_owned(),
            Err(panic) => {
                failed.push(*number);
                // What it left behind is nobody's business.
                stage = Stage::default();
                format!("FAILED: {}", sentence(&*panic))
            }
        };
        let _infallible = writeln!(verdicts, "{number} {verdict}");
    }
    drop(stage);
    let folder = root().join("target/verdicts/attacks");
    fs::create_dir_all(&folder).expect("a folder for verdicts");
    fs::write(folder.join(format!("{section}.txt")), verdicts).expect("the verdicts of a section");
    assert_eq!(failed, Vec::<&str>::new(), "of section {section}");
}

/// The number on a line of `cases.txt`, if it is of this section.
fn number_in<'a>(section: &str, line: &'a str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    let number = words.next().filter(|number| !number.starts_with('#'))?;
    (words.next() == Some(section)).then_some(number)
}

/// The first line of what a case said when it failed.
fn sentence(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let line = text.and_then(|text| text.lines().next()).unwrap_or("it panicked");
    &line[..line.floor_char_boundary(200)]
}
