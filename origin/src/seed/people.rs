//! Names of people and what they write.

use super::rng::Rng;

const FIRST_NAMES: [&str; 40] = [
    "Aaron", "Alice", "Ben", "Brenda", "Carlos", "Cathy", "Clint", "Dale", "Denise", "Earl", "Elena", "Frank", "Gina",
    "Glenn", "Hank", "Irene", "Jack", "Jolene", "Karl", "Lena", "Lou", "Maria", "Mick", "Nadia", "Nate", "Olga",
    "Otis", "Paula", "Pete", "Quinn", "Ray", "Rosa", "Russ", "Sally", "Shane", "Tess", "Troy", "Vera", "Walt",
    "Yolanda",
];
const LAST_NAMES: [&str; 40] = [
    "Abbott",
    "Alvarez",
    "Barnes",
    "Becker",
    "Brooks",
    "Castillo",
    "Cole",
    "Dalton",
    "Dunn",
    "Ellis",
    "Fischer",
    "Fleming",
    "Garza",
    "Gentry",
    "Hale",
    "Hartman",
    "Ibarra",
    "Jensen",
    "Keller",
    "Kowalski",
    "Lambert",
    "Lopez",
    "Maddox",
    "Mercer",
    "Nolan",
    "Novak",
    "Ortega",
    "Parrish",
    "Quigley",
    "Ramsey",
    "Rossi",
    "Sawyer",
    "Schultz",
    "Tanaka",
    "Tucker",
    "Underwood",
    "Vargas",
    "Webb",
    "Yates",
    "Zimmer",
];

/// A subject: its category, its tags as JSON, why it may be escalated, and four messages, the customer's first.
pub(crate) struct Subject {
    pub(crate) category: &'static str,
    pub(crate) tags: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) messages: [&'static str; 4],
}

/// What customers write about.
pub(crate) const SUBJECTS: [Subject; 6] = [
    Subject {
        category: "shipping",
        tags: r#"["priority","shipping"]"#,
        reason: "Parcel lost or late",
        messages: [
            "Tracking has not moved in four days, can you check with the carrier please?",
            "Thanks for telling us, we have opened a trace and will write within the hour.",
            "I need these fittings before Saturday, the car goes on the dyno then.",
            "A second parcel leaves today by overnight, at our cost, whatever the trace says.",
        ],
    },
    Subject {
        category: "defect",
        tags: r#"["priority","quality"]"#,
        reason: "Leak under pressure",
        messages: [
            "One of the swivel ends weeps at the nut, I need a replacement before Saturday.",
            "Sorry about that. Could you send a photo of the sealing face and the nut?",
            "Photo is attached, it weeps at 43 psi with the pump running, cold engine.",
            "That is a machining mark. A replacement is on its way, keep the old one for now.",
        ],
    },
    Subject {
        category: "fitment",
        tags: r#"["fitment","presale"]"#,
        reason: "Wrong advice given",
        messages: [
            "Do the AN8 ends you sell work with your PTFE line or only with rubber hose?",
            "Only the ends marked PTFE do, the others cut rubber and will blow off the liner.",
            "Your page says otherwise, and I have six of the wrong ones on the bench now.",
            "You are right about the page. Send them back free of charge, we correct it today.",
        ],
    },
    Subject {
        category: "returns",
        tags: r#"["refund","returns"]"#,
        reason: "Refund overdue",
        messages: [
            "I sent the radiator back two weeks ago and still have no refund, what is going on?",
            "It arrived on Tuesday and is being inspected, the refund follows the inspection.",
            "It was never mounted, the box was not even opened. How long can that take?",
            "Refund is released, the bank shows it within three days. Sorry for the wait.",
        ],
    },
    Subject {
        category: "order_change",
        tags: r#"["order","priority"]"#,
        reason: "Change missed before shipping",
        messages: [
            "I ordered the silver header bolts, please make them black before it ships.",
            "The order is at the packing table, we will try to catch it and tell you.",
            "I just got a shipping notice and it still lists silver. Did you catch it?",
            "We did not, sorry. Black ones ship today, and a return label is in the box.",
        ],
    },
    Subject {
        category: "wholesale",
        tags: r#"["account","wholesale"]"#,
        reason: "Account priced wrongly",
        messages: [
            "Our shop account was charged list price on the last three orders, please check.",
            "You are right, the discount group was dropped when the account was merged.",
            "That is over four hundred dollars, we need a credit note before month end.",
            "The credit note is on its way to accounting, you have it by tomorrow noon.",
        ],
    },
];

/// A person's name.
pub(crate) fn name(rng: &mut Rng) -> String {
    format!("{} {}", rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES))
}

/// An address at a domain that can never receive mail.
pub(crate) fn email(name: &str, number: i64) -> String {
    format!("{}.{number}@example.com", name.to_lowercase().replace(' ', "."))
}
