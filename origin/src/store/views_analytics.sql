-- How the business is doing: KPIs, trends, segments, growth, comparisons.
-- Every view has shop_domain, and "today" is the shop's business_day.

-- The last 90 days, a row each, also for days without an order. age_days is 0 today.
CREATE VIEW v_revenue_trend AS
WITH RECURSIVE ages (age_days) AS (
    SELECT 0 UNION ALL SELECT age_days + 1 FROM ages WHERE age_days < 89
),
days AS (
    SELECT s.shop_domain, ages.age_days, date(s.business_day, '-' || ages.age_days || ' days') AS day
    FROM shops AS s CROSS JOIN ages
)
SELECT
    days.shop_domain, days.age_days, days.day AS metric_date,
    COALESCE(ROUND(d.revenue_cents / 100.0, 2), 0.0) AS daily_revenue,
    COALESCE(d.orders, 0) AS daily_orders,
    COALESCE(ROUND(d.revenue_cents / 100.0 / d.orders, 2), 0.0) AS avg_order_value,
    COALESCE(ROUND(100.0 * d.shipped_on_time / d.orders, 2), 100.0) AS avg_fulfillment_rate
FROM days
LEFT JOIN v_daily_sales AS d ON d.shop_domain = days.shop_domain AND d.day = days.day;

-- The last 90 days of every category, also where nothing was sold.
CREATE VIEW v_category_trend AS
WITH RECURSIVE ages (age_days) AS (
    SELECT 0 UNION ALL SELECT age_days + 1 FROM ages WHERE age_days < 89
),
categories AS (
    SELECT DISTINCT shop_domain, category_l1, category_l2 FROM products
),
sales AS (
    SELECT
        l.shop_domain, l.day, p.category_l1, p.category_l2,
        COUNT(DISTINCT l.variant_id) AS products_sold,
        SUM(l.quantity) AS units,
        SUM(l.quantity * l.price_cents) AS revenue_cents
    FROM shops AS s
    JOIN order_lines AS l ON l.shop_domain = s.shop_domain AND l.day > date(s.business_day, '-90 days')
    JOIN variants AS v ON v.variant_id = l.variant_id
    JOIN products AS p ON p.product_id = v.product_id
    GROUP BY l.shop_domain, l.day, p.category_l1, p.category_l2
)
SELECT
    s.shop_domain, ages.age_days, date(s.business_day, '-' || ages.age_days || ' days') AS metric_date,
    c.category_l1, c.category_l2,
    COALESCE(t.products_sold, 0) AS products_sold,
    COALESCE(t.units, 0) AS total_units,
    COALESCE(ROUND(t.revenue_cents / 100.0, 2), 0.0) AS total_revenue,
    COALESCE(ROUND(t.revenue_cents / 100.0 / t.units, 2), 0.0) AS avg_price
FROM shops AS s
CROSS JOIN ages
JOIN categories AS c ON c.shop_domain = s.shop_domain
LEFT JOIN sales AS t
    ON t.shop_domain = s.shop_domain
    AND t.day = date(s.business_day, '-' || ages.age_days || ' days')
    AND t.category_l1 = c.category_l1
    AND t.category_l2 = c.category_l2;

CREATE VIEW v_kpi_summary AS
WITH sales AS (
    SELECT
        s.shop_domain,
        COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day >= date(s.business_day, 'start of month')), 0) AS mtd_cents,
        COALESCE(SUM(d.orders) FILTER (WHERE d.day >= date(s.business_day, 'start of month')), 0) AS mtd_orders,
        COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day >= date(s.business_day, 'start of year')), 0) AS ytd_cents,
        COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day > date(s.business_day, '-30 days')), 0) AS cents_30d,
        SUM(d.orders) FILTER (WHERE d.day > date(s.business_day, '-30 days')) AS orders_30d,
        SUM(d.orders) FILTER (WHERE d.day > date(s.business_day, '-7 days')) AS orders_7d,
        SUM(d.shipped_on_time) FILTER (WHERE d.day > date(s.business_day, '-7 days')) AS on_time_7d
    FROM shops AS s
    LEFT JOIN v_daily_sales AS d
        ON d.shop_domain = s.shop_domain
        AND d.day >= MIN(date(s.business_day, 'start of year'), date(s.business_day, '-30 days'))
        AND d.day <= s.business_day
    GROUP BY s.shop_domain
)
SELECT
    shop_domain,
    ROUND(mtd_cents / 100.0, 2) AS mtd_revenue,
    ROUND(ytd_cents / 100.0, 2) AS ytd_revenue,
    ROUND(cents_30d / 3000.0, 2) AS avg_daily_revenue_30d,
    mtd_orders,
    COALESCE(ROUND(cents_30d / 100.0 / NULLIF(orders_30d, 0), 2), 0.0) AS avg_order_value_30d,
    COALESCE(ROUND(100.0 * on_time_7d / NULLIF(orders_7d, 0), 2), 100.0) AS avg_fulfillment_rate_7d,
    (SELECT COUNT(*) FROM v_fulfillment_issues AS f WHERE f.shop_domain = sales.shop_domain) AS current_fulfillment_issues,
    (
        SELECT COUNT(*) FROM variants AS v
        WHERE v.shop_domain = sales.shop_domain AND v.quantity_available <= 0
    ) AS critical_inventory_alerts,
    COALESCE((
        SELECT ROUND(SUM(v.quantity_available) * 30.0 / NULLIF(SUM(u.units_30d), 0), 1)
        FROM variants AS v
        JOIN v_variant_velocity AS u ON u.variant_id = v.variant_id
        WHERE u.shop_domain = sales.shop_domain
    ), 0.0) AS avg_days_of_cover,
    (
        SELECT COUNT(*) FROM v_cx_escalations AS c
        WHERE c.shop_domain = sales.shop_domain AND c.is_escalation
    ) AS current_escalations,
    COALESCE((
        SELECT ROUND(AVG(v.first_response_minutes), 1) FROM conversations AS v
        WHERE v.shop_domain = sales.shop_domain
    ), 0.0) AS avg_first_response_minutes,
    ROUND(ytd_cents / 10000000.0, 2) AS progress_to_10mm_pct
FROM sales;

-- The last 30 days by part.
CREATE VIEW v_top_products AS
SELECT
    l.shop_domain,
    ROW_NUMBER() OVER (
        PARTITION BY l.shop_domain ORDER BY SUM(l.quantity * l.price_cents) DESC, v.sku
    ) AS rank,
    v.sku, v.title, p.category_l1, p.category_l2,
    COUNT(DISTINCT l.order_id) AS orders,
    SUM(l.quantity) AS quantity,
    ROUND(SUM(l.quantity * l.price_cents) / 100.0, 2) AS revenue,
    ROUND(100.0 * SUM(l.quantity * l.price_cents)
        / SUM(SUM(l.quantity * l.price_cents)) OVER (PARTITION BY l.shop_domain), 2) AS revenue_share_pct
FROM shops AS s
JOIN order_lines AS l
    ON l.shop_domain = s.shop_domain AND l.day > date(s.business_day, '-30 days') AND l.day <= s.business_day
JOIN variants AS v ON v.variant_id = l.variant_id
JOIN products AS p ON p.product_id = v.product_id
GROUP BY l.shop_domain, v.variant_id;

-- Categories by how their parts move. avg_category_aov is what the category brings to an order that has it.
CREATE VIEW v_product_performance AS
WITH parts AS (
    SELECT shop_domain, variant_id, category_l1, category_l2, inventory_velocity FROM v_inventory_alerts
),
sales AS (
    SELECT
        l.shop_domain, p.category_l1, p.category_l2,
        COUNT(DISTINCT l.order_id) AS orders,
        SUM(l.quantity * l.price_cents) AS revenue_cents,
        SUM(l.quantity * (l.price_cents - v.cost_cents)) AS margin_cents
    FROM shops AS s
    JOIN order_lines AS l
        ON l.shop_domain = s.shop_domain AND l.day > date(s.business_day, '-30 days') AND l.day <= s.business_day
    JOIN variants AS v ON v.variant_id = l.variant_id
    JOIN products AS p ON p.product_id = v.product_id
    GROUP BY l.shop_domain, p.category_l1, p.category_l2
)
SELECT
    parts.shop_domain, parts.category_l1, parts.category_l2,
    COUNT(*) AS products_in_category,
    COUNT(*) FILTER (WHERE parts.inventory_velocity = 'fast') AS fast_movers,
    COUNT(*) FILTER (WHERE parts.inventory_velocity = 'medium') AS medium_movers,
    COUNT(*) FILTER (WHERE parts.inventory_velocity IN ('slow', 'stagnant')) AS slow_movers,
    COALESCE(ROUND(t.revenue_cents / 100.0 / t.orders, 2), 0.0) AS avg_category_aov,
    COALESCE(ROUND(100.0 * t.margin_cents / t.revenue_cents, 2), 0.0) AS avg_category_margin
FROM parts
LEFT JOIN sales AS t
    ON t.shop_domain = parts.shop_domain AND t.category_l1 = parts.category_l1 AND t.category_l2 = parts.category_l2
GROUP BY parts.shop_domain, parts.category_l1, parts.category_l2;

-- Customers by segment and stage, with what they bought in the last 90 days.
CREATE VIEW v_customer_segments AS
WITH bought AS (
    SELECT
        o.shop_domain, o.customer_id, MAX(o.day) AS last_day, COUNT(*) AS orders, SUM(o.total_cents) AS revenue_cents
    FROM shops AS s
    JOIN orders AS o
        ON o.shop_domain = s.shop_domain AND o.day > date(s.business_day, '-90 days') AND o.day <= s.business_day
    GROUP BY o.shop_domain, o.customer_id
),
staged AS (
    SELECT
        c.shop_domain, c.segment, b.orders, b.revenue_cents,
        CASE
            WHEN b.last_day IS NULL THEN 'lapsed'
            WHEN c.first_order_day > date(s.business_day, '-30 days') THEN 'new'
            WHEN b.last_day > date(s.business_day, '-30 days') THEN 'active'
            ELSE 'at_risk'
        END AS stage
    FROM customers AS c
    JOIN shops AS s ON s.shop_domain = c.shop_domain
    LEFT JOIN bought AS b ON b.shop_domain = c.shop_domain AND b.customer_id = c.customer_id
)
SELECT
    shop_domain, segment AS primary_segment, stage AS lifecycle_stage,
    COUNT(*) AS customer_count,
    COALESCE(ROUND(SUM(revenue_cents) / 100.0, 2), 0.0) AS segment_revenue,
    COALESCE(ROUND(SUM(revenue_cents) / 100.0 / SUM(orders), 2), 0.0) AS segment_aov
FROM staged
GROUP BY shop_domain, segment, stage;

-- The last 13 months; the running one is to date.
CREATE VIEW v_monthly_sales AS
SELECT
    s.shop_domain,
    date(d.day, 'start of month') AS month_start,
    ROUND(SUM(d.revenue_cents) / 100.0, 2) AS monthly_revenue,
    SUM(d.orders) AS monthly_orders,
    ROUND(SUM(d.revenue_cents) / 100.0 / SUM(d.orders), 2) AS avg_order_value
FROM shops AS s
JOIN v_daily_sales AS d
    ON d.shop_domain = s.shop_domain
    AND d.day >= date(s.business_day, 'start of month', '-12 months')
    AND d.day <= s.business_day
GROUP BY s.shop_domain, date(d.day, 'start of month');

-- Two periods side by side. Both comparisons are to date: as many days of the one as of the other.
CREATE VIEW v_periods AS
SELECT
    shop_domain, 'yoy' AS comparison,
    date(business_day, 'start of year') AS current_from, business_day AS current_to,
    date(business_day, 'start of year', '-1 year') AS previous_from,
    date(business_day, '-1 year', 'floor') AS previous_to
FROM shops
UNION ALL
SELECT shop_domain, '30d', date(business_day, '-29 days'), business_day, date(business_day, '-59 days'), date(business_day, '-30 days')
FROM shops
UNION ALL
SELECT
    shop_domain, 'qoq', quarter_start, business_day, date(quarter_start, '-3 months'),
    MIN(
        date(quarter_start, '-3 months', '+' || CAST(julianday(business_day) - julianday(quarter_start) AS INTEGER) || ' days'),
        date(quarter_start, '-1 day')
    )
FROM (
    SELECT
        shop_domain, business_day,
        date(business_day, 'start of month', '-' || ((CAST(strftime('%m', business_day) AS INTEGER) - 1) % 3) || ' months')
            AS quarter_start
    FROM shops
);

CREATE VIEW v_comparison AS
WITH sums AS (
    SELECT
        p.shop_domain, p.comparison, p.current_from, p.current_to, p.previous_from, p.previous_to,
        COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day >= p.current_from), 0) AS current_cents,
        COALESCE(SUM(d.orders) FILTER (WHERE d.day >= p.current_from), 0) AS current_orders,
        COALESCE(SUM(d.units) FILTER (WHERE d.day >= p.current_from), 0) AS current_units,
        COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day <= p.previous_to), 0) AS previous_cents,
        COALESCE(SUM(d.orders) FILTER (WHERE d.day <= p.previous_to), 0) AS previous_orders
    FROM v_periods AS p
    LEFT JOIN v_daily_sales AS d
        ON d.shop_domain = p.shop_domain AND d.day >= p.previous_from AND d.day <= p.current_to
    GROUP BY p.shop_domain, p.comparison
)
SELECT
    shop_domain, comparison, current_from, current_to, previous_from, previous_to,
    ROUND(current_cents / 100.0, 2) AS current_revenue,
    ROUND(previous_cents / 100.0, 2) AS previous_revenue,
    COALESCE(ROUND(100.0 * (current_cents - previous_cents) / NULLIF(previous_cents, 0), 2), 0.0) AS revenue_change_pct,
    current_orders, previous_orders, current_units,
    COALESCE(ROUND(100.0 * (current_orders - previous_orders) / NULLIF(previous_orders, 0), 2), 0.0) AS orders_change_pct,
    COALESCE(ROUND(current_cents / 100.0 / NULLIF(current_orders, 0), 2), 0.0) AS current_aov,
    COALESCE(ROUND(previous_cents / 100.0 / NULLIF(previous_orders, 0), 2), 0.0) AS previous_aov
FROM sums;

-- The year so far month by month, each beside the same days of the year before.
CREATE VIEW v_yoy_months AS
SELECT
    p.shop_domain,
    strftime('%m', d.day) AS month,
    ROUND(COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day >= p.current_from), 0) / 100.0, 2) AS current_revenue,
    ROUND(COALESCE(SUM(d.revenue_cents) FILTER (WHERE d.day <= p.previous_to), 0) / 100.0, 2) AS previous_revenue,
    COALESCE(SUM(d.orders) FILTER (WHERE d.day >= p.current_from), 0) AS current_orders,
    COALESCE(SUM(d.orders) FILTER (WHERE d.day <= p.previous_to), 0) AS previous_orders
FROM v_periods AS p
JOIN v_daily_sales AS d ON d.shop_domain = p.shop_domain
WHERE p.comparison = 'yoy'
    AND (d.day BETWEEN p.current_from AND p.current_to OR d.day BETWEEN p.previous_from AND p.previous_to)
GROUP BY p.shop_domain, strftime('%m', d.day);

CREATE VIEW v_customer_growth AS
SELECT
    s.shop_domain,
    (
        SELECT COUNT(*) FROM customers AS c
        WHERE c.shop_domain = s.shop_domain AND c.first_order_day > date(s.business_day, '-30 days')
    ) AS new_customers_30d,
    COALESCE((
        SELECT ROUND(100.0 * COUNT(*) FILTER (WHERE c.first_order_day < o.day) / NULLIF(COUNT(*), 0), 2)
        FROM orders AS o
        JOIN customers AS c ON c.customer_id = o.customer_id
        WHERE o.shop_domain = s.shop_domain AND o.day > date(s.business_day, '-30 days') AND o.day <= s.business_day
    ), 0.0) AS repeat_order_rate_pct
FROM shops AS s;

-- The year's months, how far each brought the year, and the tier that was reached by then.
CREATE VIEW v_growth_milestones AS
WITH months AS (
    SELECT
        s.shop_domain, date(d.day, 'start of month') AS month_start,
        SUM(d.revenue_cents) AS cents, SUM(d.orders) AS orders
    FROM shops AS s
    JOIN v_daily_sales AS d
        ON d.shop_domain = s.shop_domain AND d.day >= date(s.business_day, 'start of year') AND d.day <= s.business_day
    GROUP BY s.shop_domain, date(d.day, 'start of month')
),
running AS (
    SELECT months.*, SUM(cents) OVER (PARTITION BY shop_domain ORDER BY month_start) AS ytd_cents FROM months
)
SELECT
    r.shop_domain, r.month_start,
    ROUND(r.cents / 100.0, 2) AS monthly_revenue,
    r.orders AS monthly_orders,
    ROUND(r.ytd_cents / 100.0, 2) AS ytd_revenue,
    (
        SELECT g.tier FROM growth_tiers AS g
        WHERE g.shop_domain = r.shop_domain AND g.revenue_cents <= r.ytd_cents
        ORDER BY g.revenue_cents DESC LIMIT 1
    ) AS milestone_tier,
    ROUND(r.ytd_cents / 10000000.0, 2) AS progress_to_10mm_pct
FROM running AS r;

-- What automation spared the owner this year, by task.
CREATE VIEW v_time_savings AS
SELECT
    t.shop_domain, t.task,
    SUM(t.runs) AS runs,
    ROUND(SUM(t.minutes_saved) / 60.0, 2) AS total_hours_saved,
    ROUND(SUM(t.minutes_saved * t.hourly_rate_cents) / 6000.0, 2) AS total_value_saved
FROM shops AS s
JOIN time_savings AS t
    ON t.shop_domain = s.shop_domain
    AND t.week_start >= date(s.business_day, 'start of year')
    AND t.week_start <= s.business_day
GROUP BY t.shop_domain, t.task;
