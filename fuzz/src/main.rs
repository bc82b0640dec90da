//! One target under libFuzzer: the one that `FUZZ_TARGET` names. `cargo xtask fuzz` builds and runs this.

#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        fuzz::TARGETS.iter().find(|target| target.name == name).expect("FUZZ_TARGET names a target")
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| (target().check)(input));
