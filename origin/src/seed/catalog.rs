//! The parts a hot rod shop sells: twenty categories of three kinds, in five sizes and two finishes.

use super::{rng::Rng, shops::Profile};

/// Sizes of a family: code and title.
type Sizes = [(&'static str, &'static str); 5];

const AN: Sizes = [("AN4", "AN4"), ("AN6", "AN6"), ("AN8", "AN8"), ("AN10", "AN10"), ("AN12", "AN12")];
const ENGINES: Sizes = [
    ("SBC", "Small Block Chevy"),
    ("BBC", "Big Block Chevy"),
    ("SBF", "Small Block Ford"),
    ("LS", "LS"),
    ("HEMI", "Hemi"),
];
const CHASSIS: Sizes =
    [("F32", "1932 Ford"), ("F40", "1940 Ford"), ("TR5", "Tri-Five Chevy"), ("C10", "C10 Truck"), ("MUS", "Mustang")];
const FINISHES: [(&str, &str); 2] = [("BL", "Black"), ("SL", "Silver")];

/// How much the sizes of a family differ in price, in percent, and in how often they are asked for.
const SIZE_PRICES: [u32; 5] = [100, 112, 128, 150, 176];
const SIZE_WEIGHTS: [u32; 5] = [5, 9, 6, 2, 1];
const KIND_WEIGHTS: [u32; 3] = [7, 3, 2];
const FINISH_WEIGHTS: [u32; 2] = [8, 2];

struct Category {
    l1: &'static str,
    l2: &'static str,
    sizes: &'static Sizes,
    /// Code, title and price in cents of the smallest size.
    kinds: [(&'static str, &'static str, u32); 3],
    weight: u32,
}

const fn category(
    l1: &'static str,
    l2: &'static str,
    sizes: &'static Sizes,
    weight: u32,
    kinds: [(&'static str, &'static str, u32); 3],
) -> Category {
    Category { l1, l2, sizes, kinds, weight }
}

#[rustfmt::skip]
const CATEGORIES: [Category; 20] = [
    category("Fuel System", "Hose Ends", &AN, 100, [("STR", "Straight Hose End", 1495), ("SW90", "90 Degree Swivel Hose End", 2195), ("SW45", "45 Degree Swivel Hose End", 2095)]),
    category("Fuel System", "Hose", &AN, 95, [("PTFE", "PTFE Braided Hose", 4195), ("NYL", "Nylon Braided Hose", 3495), ("PSH", "Push-Lock Hose", 2395)]),
    category("Fuel System", "Filters", &AN, 40, [("FLT10", "Inline Fuel Filter 10 Micron", 4695), ("FLT40", "Inline Fuel Filter 40 Micron", 4195), ("FLT100", "Inline Fuel Filter 100 Micron", 4495)]),
    category("Fuel System", "Regulators", &AN, 18, [("BPR", "Bypass Fuel Regulator", 9495), ("DHR", "Deadhead Fuel Regulator", 7995), ("RGK", "Regulator Gauge Kit", 4995)]),
    category("Fuel System", "Pumps", &AN, 8, [("FP34", "Inline Fuel Pump 340 LPH", 13995), ("FP25", "Inline Fuel Pump 255 LPH", 11495), ("SRG", "Surge Tank", 21995)]),
    category("Plumbing", "Adapters", &AN, 90, [("ORB", "ORB Port Adapter", 1095), ("NPT", "NPT Pipe Adapter", 995), ("MET", "Metric Adapter", 1195)]),
    category("Plumbing", "Bulkheads", &AN, 50, [("BLKH", "Bulkhead Fitting", 1495), ("BLKT", "Bulkhead Tee", 2295), ("BLKN", "Bulkhead Nut", 695)]),
    category("Plumbing", "Splitters", &AN, 40, [("YBLK", "Y-Block Splitter", 3295), ("TEE", "Tee Fitting", 1895), ("LOG", "Dual Feed Fuel Log", 6995)]),
    category("Plumbing", "Clamps", &AN, 35, [("PCL", "Cushioned P-Clamp Pack", 995), ("SEP", "Hose Separator", 1295), ("FIN", "Hose Finisher", 1195)]),
    category("Cooling", "Fittings", &AN, 45, [("WNK", "Water Neck Fitting", 2595), ("HTR", "Heater Hose Adapter", 1995), ("OVF", "Overflow Fitting", 1495)]),
    category("Cooling", "Radiators", &CHASSIS, 2, [("RAD2", "Two Row Aluminum Radiator", 32995), ("RAD3", "Three Row Aluminum Radiator", 41995), ("SHR", "Radiator Fan Shroud", 12995)]),
    category("Cooling", "Fans", &CHASSIS, 12, [("FAN", "16 Inch Electric Fan", 12995), ("CTL", "Fan Controller", 7995), ("FMK", "Fan Mount Kit", 2995)]),
    category("Brakes", "Lines", &CHASSIS, 12, [("BLK", "Stainless Brake Line Kit", 13995), ("FLX", "Flexible Brake Hose Set", 5995), ("BLC", "Brake Line Clip Pack", 1295)]),
    category("Brakes", "Valves", &CHASSIS, 14, [("PRV", "Proportioning Valve", 5995), ("RSV", "Residual Valve", 2995), ("MCB", "Master Cylinder Bracket", 4495)]),
    category("Engine", "Gaskets", &ENGINES, 30, [("VCG", "Valve Cover Gasket Set", 2995), ("ING", "Intake Gasket Set", 3495), ("OPG", "Oil Pan Gasket", 3995)]),
    category("Engine", "Intake", &ENGINES, 4, [("MAN", "Dual Plane Intake Manifold", 25995), ("SPC", "Carburetor Spacer", 4995), ("LNK", "Throttle Linkage Kit", 3995)]),
    category("Exhaust", "Headers", &ENGINES, 4, [("HDR", "Ceramic Coated Headers", 38995), ("CLG", "Collector Gasket Pack", 1495), ("HBK", "Header Bolt Kit", 2195)]),
    category("Ignition", "Wires", &ENGINES, 22, [("WIR", "Spark Plug Wire Set", 7995), ("LOM", "Wire Loom Kit", 2495), ("CAP", "Distributor Cap", 3995)]),
    category("Interior", "Gauges", &CHASSIS, 3, [("GAU", "Five Gauge Cluster", 34995), ("TAC", "Tachometer", 14995), ("SND", "Gauge Sender Kit", 3995)]),
    category("Suspension", "Mounts", &CHASSIS, 9, [("BSH", "Bushing Kit", 6995), ("SHK", "Shock Absorber Pair", 15995), ("HDW", "Mount Hardware Kit", 2495)]),
];

/// A part as the shop sells it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) variant_id: i64,
    pub(crate) product_id: i64,
    pub(crate) sku: String,
    pub(crate) title: String,
    /// The title without the finish.
    pub(crate) product_title: String,
    pub(crate) category_l1: &'static str,
    pub(crate) category_l2: &'static str,
    pub(crate) price_cents: u32,
    pub(crate) cost_cents: u32,
}

/// A shop's parts, and how often each is asked for.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) parts: Vec<Part>,
    /// Sums of the weights up to and with each part.
    cumulative: Vec<u32>,
}

impl Catalog {
    /// The parts of a shop.
    pub(crate) fn of(shop: &Profile, rng: &mut Rng) -> Self {
        let mut catalog = Self { parts: Vec::new(), cumulative: Vec::new() };
        let mut product_id = shop.first_product_id;
        let mut variant_id = shop.first_variant_id;
        let mut total_weight = 0;
        for category in &CATEGORIES {
            for (kind, kind_weight) in category.kinds.iter().zip(KIND_WEIGHTS) {
                for (size, (size_price, size_weight)) in category.sizes.iter().zip(SIZE_PRICES.iter().zip(SIZE_WEIGHTS))
                {
                    let product_title = format!("{} {}", size.1, kind.1);
                    let level = shop.price_level * rng.spread(0.97, 1.03);
                    let price = f64::from(kind.2 * size_price / 100) * level;
                    let margin = rng.spread(0.34, 0.52);
                    for (finish, finish_weight) in FINISHES.iter().zip(FINISH_WEIGHTS) {
                        let weight = category.weight * kind_weight * size_weight * finish_weight;
                        total_weight += super::whole(f64::from(weight) * rng.spread(0.5, 1.5));
                        catalog.cumulative.push(total_weight);
                        catalog.parts.push(Part {
                            variant_id,
                            product_id,
                            sku: format!("{}-{}-{}", size.0, kind.0, finish.0),
                            title: format!("{product_title} - {}", finish.1),
                            product_title: product_title.clone(),
                            category_l1: category.l1,
                            category_l2: category.l2,
                            price_cents: super::whole(price),
                            cost_cents: super::whole(price * (1.0 - margin)),
                        });
                        variant_id += 1;
                    }
                    product_id += 1;
                }
            }
        }
        catalog
    }

    /// The index of a part that a customer asks for.
    pub(crate) fn ask(&self, rng: &mut Rng) -> usize {
        let ball = rng.below(self.cumulative.last().copied().unwrap_or(0));
        self.cumulative.partition_point(|sum| *sum <= ball)
    }
}
