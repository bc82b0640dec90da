//! How the business is doing: KPIs, trends, segments, growth, comparisons.

use serde::Serialize;

use super::{
    Store, StoreError,
    rows::{of_shop, one_of_shop, row},
};

row! {
    /// The twelve figures of the KPI summary.
    KpiFigures {
        mtd_revenue: f64,
        ytd_revenue: f64,
        avg_daily_revenue_30d: f64,
        mtd_orders: i64,
        avg_order_value_30d: f64,
        avg_fulfillment_rate_7d: f64,
        current_fulfillment_issues: i64,
        critical_inventory_alerts: i64,
        avg_days_of_cover: f64,
        current_escalations: i64,
        avg_first_response_minutes: f64,
        progress_to_10mm_pct: f64,
    }
}

row! {
    /// A day's sales.
    RevenueDay {
        metric_date: String,
        daily_revenue: f64,
        daily_orders: i64,
        avg_order_value: f64,
        avg_fulfillment_rate: f64,
    }
}

/// The figures, and the days of the small curve under them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KpiSummary {
    #[serde(flatten)]
    figures: KpiFigures,
    sparkline: Vec<RevenueDay>,
}

row! {
    /// A category's day.
    CategoryDay {
        metric_date: String,
        category_l1: String,
        category_l2: String,
        products_sold: i64,
        total_units: i64,
        total_revenue: f64,
        avg_price: f64,
    }
}

row! {
    /// A part among those that sold best in 30 days.
    TopProduct {
        rank: i64,
        sku: String,
        title: String,
        category_l1: String,
        category_l2: String,
        orders: i64,
        quantity: i64,
        revenue: f64,
        revenue_share_pct: f64,
    }
}

row! {
    /// How a category's parts move.
    ProductPerformance {
        category_l1: String,
        category_l2: String,
        products_in_category: i64,
        fast_movers: i64,
        medium_movers: i64,
        slow_movers: i64,
        avg_category_aov: f64,
        avg_category_margin: f64,
    }
}

row! {
    /// Customers of one kind at one stage, with 90 days of orders.
    Segment {
        primary_segment: String,
        lifecycle_stage: String,
        customer_count: i64,
        segment_revenue: f64,
        segment_aov: f64,
    }
}

row! {
    /// Two periods side by side.
    Comparison {
        current_from: String,
        current_to: String,
        previous_from: String,
        previous_to: String,
        current_revenue: f64,
        previous_revenue: f64,
        revenue_change_pct: f64,
        current_orders: i64,
        previous_orders: i64,
        orders_change_pct: f64,
        current_aov: f64,
        previous_aov: f64,
    }
}

row! {
    /// The year to date.
    YearToDate {
        current_from: String,
        current_to: String,
        current_revenue: f64,
        current_orders: i64,
        current_units: i64,
        current_aov: f64,
        previous_revenue: f64,
        revenue_change_pct: f64,
    }
}

row! {
    /// A month of this year beside the same days of the year before.
    YoyMonth {
        month: String,
        current_revenue: f64,
        previous_revenue: f64,
        current_orders: i64,
        previous_orders: i64,
    }
}

row! {
    /// A month's sales.
    Month {
        month_start: String,
        monthly_revenue: f64,
        monthly_orders: i64,
        avg_order_value: f64,
    }
}

row! {
    /// Who comes and who comes back.
    CustomerGrowth {
        new_customers_30d: i64,
        repeat_order_rate_pct: f64,
    }
}

row! {
    /// A month, and how far it brought the year.
    Milestone {
        month_start: String,
        monthly_revenue: f64,
        monthly_orders: i64,
        ytd_revenue: f64,
        milestone_tier: Option<String>,
        progress_to_10mm_pct: f64,
    }
}

row! {
    /// What automating one task spared the owner this year.
    TaskSavings {
        task: String,
        runs: i64,
        total_hours_saved: f64,
        total_value_saved: f64,
    }
}

/// Thirty days against the thirty before, customers, and a year of months.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GrowthMetrics {
    last_30_days: Comparison,
    #[serde(flatten)]
    customers: CustomerGrowth,
    months: Vec<Month>,
}

impl Store {
    /// The KPI summary with 34 days of sales, the newest first.
    pub(crate) async fn kpi_summary(&self, shop: String) -> Result<KpiSummary, StoreError> {
        self.run(move |connection| {
            Ok(KpiSummary {
                figures: one_of_shop(connection, "v_kpi_summary", "", [&shop])?,
                sparkline: of_shop(connection, "v_revenue_trend", "AND age_days < 34 ORDER BY age_days", [&shop])?,
            })
        })
        .await
    }

    /// Sales by day, the newest first.
    pub(crate) async fn revenue_trend(&self, shop: String, days: u8) -> Result<Vec<RevenueDay>, StoreError> {
        self.run(move |connection| {
            of_shop(connection, "v_revenue_trend", "AND age_days < ?2 ORDER BY age_days", (&shop, days))
        })
        .await
    }

    /// Sales by day and category, the newest first.
    pub(crate) async fn category_trend(&self, shop: String, days: u8) -> Result<Vec<CategoryDay>, StoreError> {
        self.run(move |connection| {
            of_shop(
                connection,
                "v_category_trend",
                "AND age_days < ?2 ORDER BY age_days, category_l1, category_l2",
                (&shop, days),
            )
        })
        .await
    }

    /// The ten parts that sold best in 30 days.
    pub(crate) async fn top_products(&self, shop: String) -> Result<Vec<TopProduct>, StoreError> {
        self.run(move |connection| of_shop(connection, "v_top_products", "AND rank <= 10 ORDER BY rank", [&shop])).await
    }

    /// How every category's parts move.
    pub(crate) async fn product_performance(&self, shop: String) -> Result<Vec<ProductPerformance>, StoreError> {
        self.run(move |connection| {
            of_shop(connection, "v_product_performance", "ORDER BY category_l1, category_l2", [&shop])
        })
        .await
    }

    /// Customers by segment and stage.
    pub(crate) async fn segments(&self, shop: String) -> Result<Vec<Segment>, StoreError> {
        self.run(move |connection| {
            of_shop(connection, "v_customer_segments", "ORDER BY primary_segment, lifecycle_stage", [&shop])
        })
        .await
    }

    /// Growth over 30 days and over a year of months.
    pub(crate) async fn growth_metrics(&self, shop: String) -> Result<GrowthMetrics, StoreError> {
        self.run(move |connection| {
            Ok(GrowthMetrics {
                last_30_days: one_of_shop(connection, "v_comparison", "AND comparison = '30d'", [&shop])?,
                customers: one_of_shop(connection, "v_customer_growth", "", [&shop])?,
                months: of_shop(connection, "v_monthly_sales", "ORDER BY month_start", [&shop])?,
            })
        })
        .await
    }

    /// The months of the year and the tiers that they reached.
    pub(crate) async fn growth_milestones(&self, shop: String) -> Result<Vec<Milestone>, StoreError> {
        self.run(move |connection| of_shop(connection, "v_growth_milestones", "ORDER BY month_start", [&shop])).await
    }

    /// The year to date.
    pub(crate) async fn year_to_date(&self, shop: String) -> Result<YearToDate, StoreError> {
        self.run(move |connection| one_of_shop(connection, "v_comparison", "AND comparison = 'yoy'", [&shop])).await
    }

    /// Hours and money that automation spared this year, by task.
    pub(crate) async fn time_savings(&self, shop: String) -> Result<Vec<TaskSavings>, StoreError> {
        self.run(move |connection| {
            of_shop(connection, "v_time_savings", "ORDER BY total_value_saved DESC, task", [&shop])
        })
        .await
    }

    /// This year against the last, to date, and its months.
    pub(crate) async fn year_over_year(&self, shop: String) -> Result<(Comparison, Vec<YoyMonth>), StoreError> {
        self.run(move |connection| {
            let year = one_of_shop(connection, "v_comparison", "AND comparison = 'yoy'", [&shop])?;
            let months = of_shop(connection, "v_yoy_months", "ORDER BY month", [&shop])?;
            Ok((year, months))
        })
        .await
    }

    /// This quarter against the last, to date.
    pub(crate) async fn quarter_over_quarter(&self, shop: String) -> Result<Comparison, StoreError> {
        self.run(move |connection| one_of_shop(connection, "v_comparison", "AND comparison = 'qoq'", [&shop])).await
    }
}
