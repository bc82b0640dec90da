//! `cargo xtask lab`: the Worker as three locations before a reference origin on 127.0.0.1, until Ctrl-C.

use std::time::{Duration, Instant};

use crate::args::{LOCATIONS, Lab};
use crate::build::build;
use crate::dev::{Server, attend, check_free};
use crate::failure::Outcome;
use crate::group::Group;
use crate::project::Project;
use crate::run::{command, say, shown};
use crate::setup::setup;

/// Runs both until Ctrl-C, which is success, or until one of them ends, which is not.
pub fn lab(project: &Project, options: Lab) -> Outcome {
    let started = Instant::now();
    // Asked before the long steps, so that nobody waits for them in vain.
    for port in options.first..=options.first + LOCATIONS {
        check_free(port, "--port")?;
    }
    let ready = setup(project)?;
    build(project, &ready)?;
    let mut cargo = command("cargo", &project.root);
    let packages = ["build", "--quiet", "-p", "reference-origin", "-p", "lab"];
    shown("building the reference origin and the lab", cargo.args(packages))?;

    say("starting the reference origin and the lab");
    let origin = Server::origin(project, options.origin(), options.first, &[])?;
    let mut lab = command(project.target().join("debug").join("lab"), &project.root);
    lab.args(["--port", &options.first.to_string()])
        .args(["--kv-lag", &options.kv_lag.to_string()])
        .args(["--origin", &format!("http://127.0.0.1:{}", options.origin())]);
    let group = Group::spawn("the lab", &mut lab)?;
    let lab = Server { name: "the lab", port: options.first, health: "/healthz", group };
    attend(&mut [lab, origin], || Ok(welcome(options, started.elapsed())))
}

/// The lab has said where its locations are.
fn welcome(options: Lab, elapsed: Duration) -> String {
    format!(
        "Ready after {:.1} s. Ctrl-C stops both.

  the origin   http://127.0.0.1:{}

Try (a miss in each location, then hits):

  curl -i http://127.0.0.1:{}/api/dashboard/tiles/sales-pulse
",
        elapsed.as_secs_f64(),
        options.origin(),
        options.first
    )
}
