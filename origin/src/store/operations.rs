//! What needs doing today: the tiles and the live figures.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError,
    rows::{Json, of_shop, one_of_shop, row},
};

/// The longest list in an answer. What is beyond it is left off from the least urgent end.
pub(super) const MOST_ROWS: u32 = 200;

/// A part in the list of those that sold best today.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TopSku {
    sku: String,
    title: String,
    quantity: i64,
    revenue: f64,
    rank: i64,
}

row! {
    /// Today's sales.
    SalesPulse {
        metric_date: String,
        shop_domain: String,
        total_revenue: f64,
        currency: String,
        order_count: i64,
        avg_order_value: f64,
        fulfillment_rate: f64,
        revenue_growth_pct: f64,
        order_growth_pct: f64,
        top_skus: Json<Vec<TopSku>>,
        orders_pending: i64,
        orders_unfulfilled: i64,
    }
}

row! {
    /// An order of today that is not on its way.
    PendingOrder {
        order_id: String,
        name: String,
        display_status: String,
        created_at: String,
    }
}

row! {
    /// A part whose stock needs a decision.
    InventoryAlert {
        variant_id: i64,
        product_id: i64,
        sku: String,
        title: String,
        quantity_available: i64,
        threshold: i64,
        days_of_cover: i64,
        inventory_velocity: String,
        category_l1: String,
        category_l2: String,
        alert_type: String,
        severity: String,
    }
}

row! {
    /// An order that does not get out of the door.
    FulfillmentIssue {
        order_id: i64,
        name: String,
        display_status: String,
        fulfillment_status: String,
        created_at: String,
        days_to_fulfill: i64,
        sla_breached: bool,
        has_issue: bool,
        issue_type: String,
        issue_description: String,
        customer_segment: String,
        order_total: f64,
        priority: String,
        target_ship_date: String,
    }
}

row! {
    /// A conversation that someone must look at. Personal data.
    Escalation {
        id: i64,
        inbox_id: i64,
        customer_name: String,
        status: String,
        created_at: String,
        breached_at: Option<String>,
        last_message_at: String,
        sla_breached: bool,
        is_escalation: bool,
        escalation_reason: Option<String>,
        sentiment: String,
        priority: String,
        tags: Json<Vec<String>>,
        category: String,
        time_to_first_response_minutes: i64,
        customer_segment: String,
        severity: String,
    }
}

/// A message of a conversation. Personal data.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Message {
    id: i64,
    author: String,
    content: String,
    created_at: String,
}

/// A conversation with its last messages, the oldest first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EscalationThread {
    #[serde(flatten)]
    escalation: Escalation,
    messages: Vec<Message>,
}

row! {
    /// How many dealers sell the shop's parts.
    Activation {
        total_active_shops: i64,
        activated_shops: i64,
        activation_rate: f64,
        window_start: String,
        window_end: String,
    }
}

row! {
    /// How long breaches took to resolve in the last seven days. Nulls when none was.
    SlaSummary {
        sample_size: i64,
        mean_minutes: Option<f64>,
        median_minutes: Option<f64>,
        p90_minutes: Option<f64>,
        p95_minutes: Option<f64>,
        min_minutes: Option<f64>,
        max_minutes: Option<f64>,
        window_start: String,
        window_end: String,
    }
}

row! {
    /// An operator's day.
    OperatorDay {
        metric_date: String,
        operator: String,
        breaches_detected: i64,
        breaches_resolved: i64,
        resolution_rate_pct: f64,
        median_minutes: Option<f64>,
        p90_minutes: Option<f64>,
    }
}

/// The operations tile.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operations {
    activation: Activation,
    sla: SlaSummary,
    by_operator_day: Vec<OperatorDay>,
}

row! {
    /// Something that is wrong, of any kind. Names no customer.
    Alert {
        alert_id: String,
        kind: String,
        severity: String,
        title: String,
        detail: String,
        raised_at: String,
        acknowledged: bool,
    }
}

impl Store {
    /// Today's sales, and the newest eight orders that are not on their way.
    pub(crate) async fn sales_pulse(&self, shop: String) -> Result<(SalesPulse, Vec<PendingOrder>), StoreError> {
        self.run(move |connection| {
            let pulse = one_of_shop(connection, "v_sales_pulse_current", "", [&shop])?;
            let pending = of_shop(connection, "v_pending_fulfillment", "AND position <= 8 ORDER BY position", [&shop])?;
            Ok((pulse, pending))
        })
        .await
    }

    /// Parts whose stock is not normal, the most urgent first.
    pub(crate) async fn inventory_alerts(&self, shop: String) -> Result<Vec<InventoryAlert>, StoreError> {
        self.run(move |connection| {
            of_shop(
                connection,
                "v_inventory_alerts",
                "AND alert_type <> 'NORMAL' ORDER BY CASE severity WHEN 'critical' THEN 1 WHEN \
                 'high' THEN 2 WHEN 'medium' THEN 3 ELSE 4 END, days_of_cover, sku LIMIT ?2",
                (&shop, MOST_ROWS),
            )
        })
        .await
    }

    /// Orders that do not get out of the door, the most urgent first.
    pub(crate) async fn fulfillment_issues(&self, shop: String) -> Result<Vec<FulfillmentIssue>, StoreError> {
        self.run(move |connection| {
            of_shop(
                connection,
                "v_fulfillment_issues",
                "ORDER BY CASE priority WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' \
                 THEN 3 ELSE 4 END, created_at, order_id LIMIT ?2",
                (&shop, MOST_ROWS),
            )
        })
        .await
    }

    /// Conversations that someone must look at, each with its last four messages.
    pub(crate) async fn cx_escalations(&self, shop: String) -> Result<Vec<EscalationThread>, StoreError> {
        self.run(move |connection| {
            let escalations: Vec<Escalation> = of_shop(
                connection,
                "v_cx_escalations",
                "ORDER BY CASE severity WHEN 'critical' THEN 1 WHEN 'high' THEN 2 ELSE 3 END, \
                 created_at DESC, id LIMIT ?2",
                (&shop, MOST_ROWS),
            )?;
            let mut messages = last_messages(connection, &shop)?;
            Ok(escalations
                .into_iter()
                .map(|escalation| {
                    let messages = messages.remove(&escalation.id).unwrap_or_default();
                    EscalationThread { escalation, messages }
                })
                .collect())
        })
        .await
    }

    /// Dealers, SLA and operators over seven days.
    pub(crate) async fn operations(&self, shop: String) -> Result<Operations, StoreError> {
        self.run(move |connection| {
            Ok(Operations {
                activation: one_of_shop(connection, "v_activation", "", [&shop])?,
                sla: one_of_shop(connection, "v_sla_summary_7d", "", [&shop])?,
                by_operator_day: of_shop(
                    connection,
                    "v_sla_performance_7d",
                    "ORDER BY metric_date DESC, operator LIMIT ?2",
                    (&shop, MOST_ROWS),
                )?,
            })
        })
        .await
    }

    /// What is wrong, the most urgent first: all of it, or only what is critical.
    pub(crate) async fn alerts(&self, shop: String, only_critical: bool) -> Result<Vec<Alert>, StoreError> {
        self.run(move |connection| {
            of_shop(
                connection,
                "v_alerts",
                "AND (severity = 'critical' OR NOT ?2) ORDER BY urgency, raised_at DESC, alert_id \
                 LIMIT ?3",
                (&shop, only_critical, 2 * MOST_ROWS),
            )
        })
        .await
    }

    /// Marks an alert as seen. False if the shop has no such alert.
    pub(crate) async fn acknowledge(&self, shop: String, alert_id: String, at: String) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let written = connection.execute(
                "INSERT OR REPLACE INTO alert_acknowledgements (shop_domain, alert_id, \
                 acknowledged_at) SELECT shop_domain, alert_id, ?3 FROM v_alerts WHERE \
                 shop_domain = ?1 AND alert_id = ?2",
                (&shop, &alert_id, &at),
            )?;
            Ok(written > 0)
        })
        .await
    }
}

fn last_messages(connection: &rusqlite::Connection, shop: &str) -> rusqlite::Result<HashMap<i64, Vec<Message>>> {
    let mut statement = connection.prepare_cached(
        "SELECT conversation_id, message_id, author, content, created_at FROM (SELECT m.*, \
         ROW_NUMBER() OVER (PARTITION BY m.conversation_id ORDER BY m.created_at DESC, \
         m.message_id DESC) AS position FROM messages AS m WHERE m.shop_domain = ?1) WHERE \
         position <= 4 ORDER BY conversation_id, position DESC",
    )?;
    let mut rows = statement.query([shop])?;
    let mut messages: HashMap<i64, Vec<Message>> = HashMap::new();
    while let Some(row) = rows.next()? {
        messages.entry(row.get(0)?).or_default().push(Message {
            id: row.get(1)?,
            author: row.get(2)?,
            content: row.get(3)?,
            created_at: row.get(4)?,
        });
    }
    Ok(messages)
}
