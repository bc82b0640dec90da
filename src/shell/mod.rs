//! The Workers runtime's side: it converts, calls the core, and converts. It decides nothing.
//!
//! Only this module names `worker`, `js_sys` and `web_sys`. The suffix of a file is its role in the runtime.

mod admissions;
mod body;
mod disk;
mod errands;
mod isolate;
mod js;
mod ledger_do;
mod ledgers;
mod origin;
mod ports;
mod tiers;

use crate::admin::misconfigured;
use crate::after::finish;
use crate::answer::Answer;
use crate::pipeline::{Served, serve};
use alloc::rc::Rc;
use core::cell::Cell;
use worker::web_sys;
use worker::{Context, Env, Result, event};

thread_local! {
    /// Whether this isolate has said what is wrong with its settings.
    static SAID: Cell<bool> = const { Cell::new(false) };
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    let context = Rc::new(context);
    let shell = match ports::Shell::open(&env, &context) {
        Ok(shell) => Rc::new(shell),
        Err(wrong) => {
            if !SAID.replace(true) {
                worker::console_error!("{}", wrong.0);
            }
            return Ok(body::made(misconfigured(&request.method(), &request.url(), &wrong))?);
        }
    };
    let Served { answer, after } = serve(&*shell, body::Incoming::new(request)).await;
    let response = match answer {
        Answer::Made(made) => body::made(made),
        Answer::Passed { response, edits } => body::passed(&response.into_inner(), &edits),
    };
    if after.is_something() {
        let shell = shell.clone();
        context.wait_until(async move {
            finish(&*shell, after).await;
            shell.origin.end();
        });
    }
    shell.origin.end();
    Ok(response?)
}
