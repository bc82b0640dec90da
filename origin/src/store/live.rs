//! What is so at this moment: the live routes.

use rusqlite::OptionalExtension;

use super::{
    Store, StoreError,
    operations::MOST_ROWS,
    rows::{of_shop, one_of_shop, row},
};

row! {
    /// The SLA as it stands.
    SlaStatus {
        shop_domain: String,
        open_breaches: i64,
        breaches_today: i64,
        resolved_today: i64,
        oldest_open_since: Option<String>,
    }
}

row! {
    /// An escalation as the live route shows it. Personal data.
    LiveEscalation {
        id: i64,
        customer_name: String,
        status: String,
        priority: String,
        severity: String,
        escalation_reason: Option<String>,
        breached_at: Option<String>,
        last_message_at: String,
    }
}

row! {
    /// The stock of a part, for a checkout.
    Stock {
        variant_id: i64,
        sku: String,
        title: String,
        quantity_available: i64,
        threshold: i64,
        stock_changed_at: String,
    }
}

impl Store {
    /// The SLA as it stands.
    pub(crate) async fn sla_status(&self, shop: String) -> Result<SlaStatus, StoreError> {
        self.run(move |connection| one_of_shop(connection, "v_sla_status_live", "", [&shop])).await
    }

    /// The escalated conversations, the newest first.
    pub(crate) async fn live_escalations(&self, shop: String) -> Result<Vec<LiveEscalation>, StoreError> {
        self.run(move |connection| {
            of_shop(
                connection,
                "v_cx_escalations",
                "AND is_escalation ORDER BY created_at DESC, id LIMIT ?2",
                (&shop, MOST_ROWS),
            )
        })
        .await
    }

    /// The stock of a part, if the shop sells it.
    pub(crate) async fn stock(&self, shop: String, sku: String) -> Result<Option<Stock>, StoreError> {
        self.run(move |connection| one_of_shop(connection, "variants", "AND sku = ?2", (&shop, &sku)).optional()).await
    }
}
