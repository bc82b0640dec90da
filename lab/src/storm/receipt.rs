//! What an event was promised.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stored::Kept;

/// A receipt, as far as it can be checked from outside. Moments are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) id: String,
    pub(super) epoch: u64,
    pub(super) incremented_at: u64,
    /// By class: from when on nothing is served that is older than the increment.
    pub(super) effective_by: BTreeMap<String, u64>,
    /// What it is about.
    pub(super) routes: Vec<String>,
}

impl Receipt {
    /// Reads an answer to an event. Anything else is nothing.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let effective_by = answer["effective_by_class"].as_object()?.iter();
        let effective_by = effective_by.map(|(class, at)| Some((class.clone(), moment(at.as_str()?)?)));
        let routes = answer["purged"]["routes"].as_array()?.iter().map(|route| Some(route.as_str()?.to_owned()));
        Some(Self {
            id: answer["id"].as_str()?.to_owned(),
            epoch: answer["epoch"].as_u64()?,
            incremented_at: moment(answer["incremented_at"].as_str()?)?,
            effective_by: effective_by.collect::<Option<_>>()?,
            routes: routes.collect::<Option<_>>()?,
        })
    }

    /// From when on it binds answers of this figure, if it does.
    pub(super) fn binds(&self, figure: &Kept) -> Option<u64> {
        let covers = self.routes.iter().any(|covered| covered == figure.route);
        self.effective_by.get(figure.class).copied().filter(|_| covers)
    }
}

/// A moment in UTC as receipts write it: `2026-03-31T00:00:00.000Z`.
fn moment(text: &str) -> Option<u64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hours, minutes, seconds, millis) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?);
    // The year begins in March here, so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day.checked_sub(1)?;
    let since_1970 = days.checked_sub(719_468)?;
    Some((((since_1970 * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use hotrod_edge::time::{UnixMillis, rfc3339};
    use serde_json::json;

    use super::{Receipt, moment};
    use crate::stored::all_kept;

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        for millis in [0, 951_782_399_999, 951_868_800_000, 1_774_915_200_001, 1_798_761_599_000, 4_107_542_400_000] {
            let text = rfc3339(UnixMillis(millis));
            assert_eq!(moment(&text), Some(millis), "{text}");
        }
        assert_eq!(moment("soon"), None);
    }

    #[test]
    fn a_receipt_binds_what_it_names_from_when_it_says() {
        let at = |millis| rfc3339(UnixMillis(millis));
        let answer = json!({
            "id": "r1", "epoch": 7, "incremented_at": at(1000),
            "effective_by_class": {"historical": at(9000), "near_real_time": at(5000)},
            "purged": {"routes": ["ops", "segments"]},
        });
        let receipt = Receipt::read(&answer).expect("a receipt");
        assert_eq!((receipt.id.as_str(), receipt.epoch, receipt.incremented_at), ("r1", 7, 1000));
        for kept in all_kept() {
            let expected = match kept.route {
                "ops" => Some(5000),
                "segments" => Some(9000),
                _ => None,
            };
            assert_eq!(receipt.binds(&kept), expected, "{}", kept.route);
        }
        assert_eq!(Receipt::read(&json!({"status": 503})), None);
    }
}
