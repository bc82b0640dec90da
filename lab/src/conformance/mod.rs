//! How the Worker of tests/follow does in the public suite for caches, http-tests/cache-tests, and what is committed of
//! it: each verdict, the reasons for those that should be better, and CONFORMANCE.md, made of both.

pub mod deviations;
pub mod suite;
pub mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::root;
use crate::conformance::deviations::Deviations;
use crate::conformance::suite::{Run, Suite};
use crate::conformance::verdicts::{Kind, Verdicts};
use crate::harness::{Options, url};

const VERDICTS: &str = "tests/conformance/verdicts.txt";
const DEVIATIONS: &str = "tests/conformance/deviations.toml";
const DOCUMENT: &str = "CONFORMANCE.md";

/// Runs the suite in this folder. What passed by the list and does not is a failure, unless it is accepted.
pub fn conformance(clone: &Path, accept: bool) -> Result<(), String> {
    let suite = Suite::at(clone)?;
    let listed = if accept && !path(VERDICTS).exists() { None } else { Some(listed()?) };
    let origin = suite.origin()?;
    let edge = Options::follow().var("ORIGIN", &origin.url()).start();
    let edge_url = url(edge.workerd.address());
    let mut run = suite.run(&edge_url, &[])?;
    let mut lost = listed.as_ref().map(|listed| listed.compare(&run.verdicts).lost).unwrap_or_default();
    // Connections that some tests cut open the breaker for a second, also for those that run beside them.
    let again: BTreeSet<_> = lost.iter().map(String::as_str).chain(run.verdicts.unable()).collect();
    let again: Vec<_> = again.into_iter().map(str::to_owned).collect();
    if !again.is_empty() {
        println!("run again, one after another: {}", again.join(", "));
        let again = suite.run(&edge_url, &again)?;
        run.verdicts.tests.extend(again.verdicts.tests);
        run.messages.extend(again.messages);
    }
    println!("{}", report(&run));
    if let Some(listed) = &listed {
        let difference = listed.compare(&run.verdicts);
        if listed.commit != run.verdicts.commit {
            println!("\nthe list is of the suite's commit {}, and this is {}", listed.commit, run.verdicts.commit);
        }
        println!("{difference}");
        lost = difference.lost;
    }
    if accept {
        write(&run.verdicts)
    } else if lost.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} of the tests that passed do not: mend it, or accept it with --accept and a reason in {DEVIATIONS}.",
            lost.len()
        ))
    }
}

/// CONFORMANCE.md as it is, and as the list and the reasons say that it is.
pub fn document() -> Result<(String, String), String> {
    let is = read(DOCUMENT)?;
    let verdicts = listed()?;
    let deviations = reasons()?;
    deviations.judge(&verdicts).map_err(|fault| format!("{DEVIATIONS}: {fault}."))?;
    let says = deviations.written(&is, &verdicts).map_err(|fault| format!("{DOCUMENT}: {fault}."))?;
    Ok((is, says))
}

fn write(verdicts: &Verdicts) -> Result<(), String> {
    // The list first: it is what reasons are written by.
    write_file(VERDICTS, &verdicts.to_string())?;
    let (_, says) = document()?;
    write_file(DOCUMENT, &says)
}

/// The totals, and every test that should pass and does not with what the suite says of it.
fn report(run: &Run) -> String {
    let mut lines: Vec<_> = run
        .verdicts
        .deviating()
        .map(|(id, said)| format!("  {} {id}: {}: {}", said.kind.word(), said.verdict, run.messages[id]))
        .collect();
    lines.extend(Kind::ALL.map(|kind| {
        let (pass, all) = run.verdicts.total(kind);
        format!("{}: {pass} of {all}", kind.word())
    }));
    lines.join("\n")
}

fn listed() -> Result<Verdicts, String> {
    Verdicts::parse(&read(VERDICTS)?).map_err(|fault| format!("{VERDICTS}: {fault}."))
}

fn reasons() -> Result<Deviations, String> {
    Deviations::parse(&read(DEVIATIONS)?).map_err(|fault| format!("{DEVIATIONS}: {fault}."))
}

fn path(file: &str) -> PathBuf {
    root().join(file)
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(path(file)).map_err(|error| format!("{file} cannot be read: {error}."))
}

fn write_file(file: &str, text: &str) -> Result<(), String> {
    fs::write(path(file), text).map_err(|error| format!("{file} cannot be written: {error}."))
}
