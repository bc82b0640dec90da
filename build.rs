//! rules.toml -> judged -> a constant table in `$OUT_DIR/rules.rs`. A wrong rule fails the build with its line.
//!
//! `HOTROD_EDGE_RULES` names another file, as a path from the package's root.

#[macro_use]
extern crate alloc;

#[expect(dead_code, reason = "the Worker has use for all of them")]
#[path = "src/names.rs"]
mod names;

/// The rules' own code, as the Worker has it.
#[path = "src/rules"]
mod rules {
    pub mod parse;
    pub mod table;
    pub mod validate;
}

use rules::table::{
    Accepts, Bounds, Class, DecidedBy, Disposition, Effect, Event, Lifetimes, Parameter, Policy, Requirement, Role,
    Route, Rules, Scalar, Segment, Shape, Stored, Text, Touches,
};
use std::{env, fs, path::Path};

/// The variable that names another file of rules.
const VARIABLE: &str = "HOTROD_EDGE_RULES";

fn main() {
    let file = env::var(VARIABLE).unwrap_or_else(|_| "rules.toml".to_string());
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed={file}");
    println!("cargo::rerun-if-changed=src/rules");
    println!("cargo::rerun-if-changed=src/names.rs");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return fail(&format!("{file} cannot be read: {error}. Its place is counted from Cargo.toml's.")),
    };
    let rules = match rules::parse::load(&file, &text) {
        Ok(rules) => rules,
        Err(errors) => {
            return errors.iter().for_each(|error| fail(&error.to_string()));
        }
    };
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    if let Err(error) =
        fs::write(Path::new(&out).join("rules.rs"), format!("pub static RULES: Rules = {};\n", rules.rust()))
    {
        fail(&format!("the compiled rules cannot be written: {error}"));
    }
}

/// Cargo shows it as an error of this package, and fails the build when this script has ended.
fn fail(sentence: &str) {
    println!("cargo::error={}", sentence.replace('\n', " "));
}

/// A value as the Rust source of a constant.
trait Emit {
    fn rust(&self) -> String;
}

fn list<T: Emit>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(Emit::rust).collect();
    format!("Cow::Borrowed(&[{}])", items.join(", "))
}

fn option<T: Emit>(value: Option<&T>) -> String {
    value.map_or_else(|| "None".to_string(), |value| format!("Some({})", value.rust()))
}

impl Emit for Text {
    fn rust(&self) -> String {
        format!("Cow::Borrowed({self:?})")
    }
}

impl Emit for Rules {
    fn rust(&self) -> String {
        let Self { origin_prefixes, dropped_parameters, classes, routes, events, roles } = self;
        format!(
            "Rules {{ origin_prefixes: {}, dropped_parameters: {}, classes: {}, routes: {}, events: {}, roles: {} }}",
            list(origin_prefixes),
            list(dropped_parameters),
            list(classes),
            list(routes),
            list(events),
            list(roles)
        )
    }
}

impl Emit for Class {
    fn rust(&self) -> String {
        let Self { name, policy, demand } = self;
        let policy = match policy {
            Policy::Live => "Policy::Live".to_string(),
            Policy::Bypass => "Policy::Bypass".to_string(),
            Policy::Store(lifetimes) => format!("Policy::Store({})", lifetimes.rust()),
            Policy::Origin(lifetimes) => format!("Policy::Origin({})", lifetimes.rust()),
        };
        format!("Class {{ name: {}, policy: {policy}, demand: {demand:?} }}", name.rust())
    }
}

impl Emit for Lifetimes {
    fn rust(&self) -> String {
        let Self {
            s_maxage,
            max_age,
            stale_while_revalidate,
            stale_if_error,
            soft_window,
            calendar,
            without_ledger,
            snapshot: Bounds { isolate, bound, behind },
        } = self;
        format!(
            "Lifetimes {{ s_maxage: {s_maxage}, max_age: {max_age}, stale_while_revalidate: {stale_while_revalidate}, \
             stale_if_error: {stale_if_error}, soft_window: {soft_window}, calendar: Calendar::{calendar:?}, \
             without_ledger: WithoutLedger::{without_ledger:?}, \
             snapshot: Bounds {{ isolate: {isolate}, bound: {bound}, behind: {behind:?} }} }}"
        )
    }
}

impl Emit for Route {
    fn rust(&self) -> String {
        let Self { name, path, class, disposition, invalidates, auth, roles } = self;
        let disposition = match disposition {
            Disposition::Live => "Disposition::Live".to_string(),
            Disposition::Bypass => "Disposition::Bypass".to_string(),
            Disposition::Store(stored) => format!("Disposition::Store({})", stored.rust()),
        };
        format!(
            "Route {{ name: {}, path: {}, class: {}, disposition: {disposition}, invalidates: {}, auth: Auth::{auth:?}, roles: {} }}",
            name.rust(),
            list(path),
            class.rust(),
            option(invalidates.as_ref()),
            list(roles)
        )
    }
}

impl Emit for Segment {
    fn rust(&self) -> String {
        match self {
            Self::Literal(text) => format!("Segment::Literal({})", text.rust()),
            Self::Parameter { name, suffix } => {
                format!("Segment::Parameter {{ name: {}, suffix: {} }}", name.rust(), suffix.rust())
            }
            Self::Rest => "Segment::Rest".to_string(),
        }
    }
}

impl Emit for Stored {
    fn rust(&self) -> String {
        let Self { key, hot, lifetimes, tags, limits, decided_by } = self;
        let decided_by = match decided_by {
            DecidedBy::Class(shape) => format!("DecidedBy::Class({})", shape.rust()),
            DecidedBy::Origin => "DecidedBy::Origin".to_string(),
        };
        format!(
            "Stored {{ key: {}, hot: {hot}, lifetimes: {}, tags: {}, limits: {limits:?}, decided_by: {decided_by} }}",
            key.rust(),
            lifetimes.rust(),
            list(tags)
        )
    }
}

impl Emit for Shape {
    fn rust(&self) -> String {
        let Self { personal, query, content_type, require, volatile, response_fields } = self;
        format!(
            "Shape {{ personal: {personal}, query: {}, content_type: {}, require: {}, volatile: {}, response_fields: {} }}",
            list(query),
            content_type.rust(),
            option(require.as_ref()),
            list(volatile),
            list(response_fields)
        )
    }
}

impl Emit for Parameter {
    fn rust(&self) -> String {
        let Self { name, accepts, default } = self;
        let accepts = match accepts {
            Accepts::OneOf(values) => format!("Accepts::OneOf({})", list(values)),
            Accepts::Integer { min, max } => format!("Accepts::Integer {{ min: {min}, max: {max} }}"),
            Accepts::Word { max_length } => format!("Accepts::Word {{ max_length: {max_length} }}"),
        };
        format!("Parameter {{ name: {}, accepts: {accepts}, default: {} }}", name.rust(), option(default.as_ref()))
    }
}

impl Emit for Requirement {
    fn rust(&self) -> String {
        let Self { member, equals } = self;
        let equals = match equals {
            Scalar::Bool(value) => format!("Scalar::Bool({value})"),
            Scalar::Text(text) => format!("Scalar::Text({})", text.rust()),
        };
        format!("Requirement {{ member: {}, equals: {equals} }}", member.rust())
    }
}

impl Emit for Event {
    fn rust(&self) -> String {
        let Self { name, effect, shopify, chatwoot } = self;
        let effect = match effect {
            Effect::Invalidates(touches) => format!("Effect::Invalidates({})", touches.rust()),
            Effect::Uninstalls => "Effect::Uninstalls".to_string(),
        };
        format!(
            "Event {{ name: {}, effect: {effect}, shopify: {}, chatwoot: {} }}",
            name.rust(),
            list(shopify),
            list(chatwoot)
        )
    }
}

impl Emit for Role {
    fn rust(&self) -> String {
        let Self { name, claim, values } = self;
        format!("Role {{ name: {}, claim: {}, values: {} }}", name.rust(), list(claim), list(values))
    }
}

impl Emit for Touches {
    fn rust(&self) -> String {
        let Self { routes, classes, tags } = self;
        format!("Touches {{ routes: {}, classes: {}, tags: {} }}", list(routes), list(classes), list(tags))
    }
}
