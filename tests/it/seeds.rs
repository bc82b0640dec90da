//! The fuzzer's targets over its seeds, and over what is near these.

use crate::random::{Random, cases};
use fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The seeds of a target, by name.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join(target.name);
    names(&folder).into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

/// Says which input it was, if the check panics on it.
struct Running<'a>(&'static str, &'a [u8]);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: the input was b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

fn check(target: &Target, input: &[u8]) {
    let _running = Running(target.name, input);
    (target.check)(input);
}

/// One change: of a bit or a byte, something taken out, doubled, or of another seed.
fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(8)).min(input.len());
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => input.insert(at, *random.pick(b"\0\t\n \"%&,-./:;=?@[\\]_{}09aZ\x7f\xc3\xff")),
        2 => drop(input.drain(at..end)),
        3 => {
            let doubled = input[at..end].to_vec();
            input.splice(at..at, doubled);
        }
        4 => input.truncate(at),
        _ if other.is_empty() => {}
        _ => {
            let from = random.below(other.len());
            let to = (from + 1 + random.below(16)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
    }
}

#[test]
fn every_target_has_seeds_and_all_seeds_have_a_target() {
    assert_eq!(names(&folder()), TARGETS.iter().map(|target| target.name.to_string()).collect());
    for target in &TARGETS {
        assert!(seeds(target).len() >= 3, "{}", target.name);
    }
}

#[test]
fn every_seed_holds() {
    for target in &TARGETS {
        for (_, seed) in seeds(target) {
            check(target, &seed);
        }
    }
}

#[test]
fn what_is_near_a_seed_holds() {
    for target in &TARGETS {
        let seeds = seeds(target);
        for case in cases(2_000) {
            let random = &mut Random::new(case);
            let (_, mut input) = random.pick(&seeds).clone();
            for _ in 0..=random.below(4) {
                let (_, other) = random.pick(&seeds);
                mutate(random, &mut input, other);
            }
            check(target, &input);
        }
    }
}
