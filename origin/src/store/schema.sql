-- The tables of the dashboard. Every row belongs to one shop.
-- Money is whole cents; days are 'YYYY-MM-DD' and moments 'YYYY-MM-DDTHH:MM:SS.mmmZ', both UTC.

CREATE TABLE seeding (
    seed INTEGER NOT NULL,
    seeded_at TEXT NOT NULL
);

-- business_day is the day that the views call today. The query layer moves it on at midnight, so
-- that no view reads a clock.
CREATE TABLE shops (
    shop_domain TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    order_prefix TEXT NOT NULL,
    business_day TEXT NOT NULL
);

-- The dealers whose own shops sell this shop's parts.
CREATE TABLE dealers (
    dealer_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    name TEXT NOT NULL,
    activated_on TEXT
);
CREATE INDEX dealers_by_shop ON dealers (shop_domain);

CREATE TABLE customers (
    customer_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    segment TEXT NOT NULL,
    first_order_day TEXT NOT NULL
);
CREATE INDEX customers_by_shop ON customers (shop_domain, segment, first_order_day);

CREATE TABLE products (
    product_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    title TEXT NOT NULL,
    category_l1 TEXT NOT NULL,
    category_l2 TEXT NOT NULL
);
CREATE INDEX products_by_shop ON products (shop_domain, category_l1, category_l2);

CREATE TABLE variants (
    variant_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    product_id INTEGER NOT NULL REFERENCES products,
    sku TEXT NOT NULL,
    title TEXT NOT NULL,
    price_cents INTEGER NOT NULL,
    cost_cents INTEGER NOT NULL,
    quantity_available INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    stock_changed_at TEXT NOT NULL,
    UNIQUE (shop_domain, sku)
);

-- The orders of the last months, one by one; older ones are in daily_archive.
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    name TEXT NOT NULL,
    customer_id INTEGER NOT NULL REFERENCES customers,
    day TEXT NOT NULL,
    created_at TEXT NOT NULL,
    item_count INTEGER NOT NULL,
    total_cents INTEGER NOT NULL,
    display_status TEXT NOT NULL,
    fulfillment_status TEXT NOT NULL,
    target_ship_day TEXT NOT NULL,
    shipped_day TEXT,
    UNIQUE (shop_domain, name)
);
CREATE INDEX orders_by_day
    ON orders (shop_domain, day, total_cents, item_count, target_ship_day, shipped_day, customer_id);

CREATE TABLE order_lines (
    line_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    order_id INTEGER NOT NULL REFERENCES orders,
    variant_id INTEGER NOT NULL REFERENCES variants,
    day TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE INDEX order_lines_by_day
    ON order_lines (shop_domain, day, variant_id, quantity, price_cents, order_id);

CREATE TABLE fulfillments (
    fulfillment_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    order_id INTEGER NOT NULL REFERENCES orders,
    shipped_at TEXT NOT NULL,
    carrier TEXT NOT NULL,
    tracking_number TEXT NOT NULL
);
CREATE INDEX fulfillments_by_order ON fulfillments (order_id);

CREATE TABLE fulfillment_issues (
    order_id INTEGER PRIMARY KEY REFERENCES orders,
    shop_domain TEXT NOT NULL REFERENCES shops,
    issue_type TEXT NOT NULL,
    issue_description TEXT NOT NULL,
    detected_at TEXT NOT NULL
);
CREATE INDEX fulfillment_issues_by_shop ON fulfillment_issues (shop_domain);

-- One row for each closed day whose orders are no longer kept one by one.
CREATE TABLE daily_archive (
    shop_domain TEXT NOT NULL REFERENCES shops,
    day TEXT NOT NULL,
    orders INTEGER NOT NULL,
    units INTEGER NOT NULL,
    revenue_cents INTEGER NOT NULL,
    shipped_on_time INTEGER NOT NULL,
    PRIMARY KEY (shop_domain, day)
) WITHOUT ROWID;

CREATE TABLE growth_tiers (
    shop_domain TEXT NOT NULL REFERENCES shops,
    tier TEXT NOT NULL,
    revenue_cents INTEGER NOT NULL,
    PRIMARY KEY (shop_domain, revenue_cents)
) WITHOUT ROWID;

CREATE TABLE operators (
    operator_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    name TEXT NOT NULL,
    UNIQUE (shop_domain, name)
);

-- A conversation is escalated when it has a reason, and has broken its SLA when breached_at is set.
CREATE TABLE conversations (
    conversation_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    inbox_id INTEGER NOT NULL,
    customer_id INTEGER NOT NULL REFERENCES customers,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    breached_at TEXT,
    escalation_reason TEXT,
    sentiment TEXT NOT NULL,
    priority TEXT NOT NULL,
    tags TEXT NOT NULL,
    category TEXT NOT NULL,
    first_response_minutes INTEGER NOT NULL
);
CREATE INDEX conversations_by_shop ON conversations (shop_domain, status);

CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    conversation_id INTEGER NOT NULL REFERENCES conversations,
    author TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at);

-- An SLA breach that an operator was told of; minutes_to_resolve is null while it is open.
CREATE TABLE sla_events (
    sla_event_id INTEGER PRIMARY KEY,
    shop_domain TEXT NOT NULL REFERENCES shops,
    operator_id INTEGER NOT NULL REFERENCES operators,
    day TEXT NOT NULL,
    detected_at TEXT NOT NULL,
    minutes_to_resolve REAL
);
CREATE INDEX sla_events_by_day ON sla_events (shop_domain, day, operator_id, minutes_to_resolve);

-- What a week of an automated task spared the owner.
CREATE TABLE time_savings (
    shop_domain TEXT NOT NULL REFERENCES shops,
    week_start TEXT NOT NULL,
    task TEXT NOT NULL,
    runs INTEGER NOT NULL,
    minutes_saved INTEGER NOT NULL,
    hourly_rate_cents INTEGER NOT NULL,
    PRIMARY KEY (shop_domain, week_start, task)
) WITHOUT ROWID;

CREATE TABLE alert_acknowledgements (
    shop_domain TEXT NOT NULL REFERENCES shops,
    alert_id TEXT NOT NULL,
    acknowledged_at TEXT NOT NULL,
    PRIMARY KEY (shop_domain, alert_id)
) WITHOUT ROWID;
