use std::collections::BTreeMap;
use std::time::Duration;

use super::super::load::{Load, Look, Told};
use super::super::receipt::Receipt;
use super::super::{Counts, Plan};
use super::{Report, spread};
use crate::cache_status::parse;
use crate::stored::{Kept, all_kept};

const FRESH: &str = "hotrod-edge; hit; ttl=200; detail=edge";
const INVALIDATED: &str = "hotrod-edge; hit; ttl=200; detail=kv/invalidated";
const MISS: &str = "hotrod-edge; fwd=stale; fwd-status=200; stored";

fn told(id: &str, epoch: u64) -> Told {
    let receipt = Receipt {
        id: id.to_owned(),
        epoch,
        incremented_at: 1000,
        effective_by: BTreeMap::from([("near_real_time".to_owned(), 9000)]),
        routes: vec!["ops".to_owned()],
    };
    Told { status: 202, took: Duration::from_millis(5), receipt: Some(receipt) }
}

fn figure(route: &str) -> Kept {
    all_kept().into_iter().find(|kept| kept.route == route).expect("a route of the rules")
}

fn look(began: u64, asked_at: u64, cache_status: &str) -> Look {
    let cache_status = parse(cache_status).expect("a Cache-Status").remove(0);
    Look { figure: figure("ops"), began, status: 200, cache_status, asked_at: Some(asked_at) }
}

/// Of a storm of two events which one increment carries out.
fn report(looks: Vec<Look>, afterwards: &[Look]) -> Report {
    let plan = Plan { events: 2, ..Plan::QUICK };
    let load = Load { looks, told: vec![told("r1", 7), told("r2", 7)], late: Duration::ZERO };
    Report::new(&plan, &load, afterwards, Counts::default())
}

#[test]
fn an_old_figure_breaks_a_receipt_from_when_it_is_in_force() {
    for (began, asked_at, broken) in [(8999, 999, 0), (9000, 999, 1), (9000, 1000, 0)] {
        let report = report(Vec::new(), &[look(began, asked_at, FRESH)]);
        assert_eq!(report.broken.len(), broken, "{began} {asked_at}: {:?}", report.broken);
        assert_eq!(report.bound, usize::from(began >= 9000));
    }
    let of_another_route = Look { figure: figure("cx"), ..look(9000, 999, FRESH) };
    let report = report(vec![of_another_route], &[]);
    assert_eq!((report.broken.len(), report.bound), (0, 0));
}

#[test]
fn the_age_of_what_is_out_of_date_counts_from_the_increment() {
    let looks = vec![
        look(1500, 900, INVALIDATED),
        look(1700, 900, INVALIDATED),
        look(1200, 900, FRESH),
        look(999, 900, FRESH),
        look(1300, 1100, FRESH),
        look(1400, 900, MISS),
    ];
    let report = report(looks, &[]);
    assert_eq!((report.invalidated.as_slice(), report.unheard.as_slice()), ([500, 700].as_slice(), [200].as_slice()));
    assert_eq!((report.requests, report.hits, report.increments), (6, 5, 1));
}

#[test]
fn what_must_not_be_is_said() {
    let good = || (0..10).map(|number| look(9000 + number, 2000, FRESH)).collect::<Vec<_>>();
    assert_eq!(report(good(), &[]).failures(), Vec::<String>::new());
    let failures = |change: fn(&mut Vec<Look>)| {
        let mut looks = good();
        change(&mut looks);
        report(looks, &[]).failures().join("; ")
    };
    assert_eq!(failures(|looks| looks[0] = look(9000, 2000, MISS)), "the hit rate is 90.0 %");
    assert_eq!(failures(|looks| looks[0].status = 502), "1 requests were not answered with a figure");
    assert_eq!(failures(|looks| looks[0].asked_at = None), "1 requests were not answered with a figure");
    let early = failures(|looks| looks.iter_mut().for_each(|look| look.began = 8000));
    assert_eq!(early, "no answer came late enough to break a receipt");
    assert!(failures(|looks| looks[0].asked_at = Some(10)).contains("against the receipt r1"));

    let plan = Plan { events: 2, ..Plan::QUICK };
    let failures =
        |told| Report::new(&plan, &Load { looks: good(), told, ..Load::default() }, &[], Counts::default()).failures();
    assert_eq!(failures(vec![told("r1", 7), told("r1", 7)]), ["1 of 2 events have a receipt of their own"]);
    assert_eq!(failures(vec![told("r1", 7)]), ["1 of 2 events have a receipt of their own"]);
    let refused = Told { status: 503, ..told("r2", 8) };
    assert_eq!(failures(vec![told("r1", 7), refused]), ["1 of 2 events have a receipt of their own"]);
    let slow = Told { took: Duration::from_secs(1), ..told("r2", 8) };
    assert_eq!(failures(vec![told("r1", 7), slow]), ["1 % of the events were answered after 1s or later"]);
}

#[test]
fn a_percentile_is_a_value_that_was_measured() {
    assert_eq!(spread(&(1..=200).collect::<Vec<_>>()), Some([100, 198, 200]));
    assert_eq!(spread(&[7]), Some([7, 7, 7]));
    assert_eq!(spread::<u64>(&[]), None);
}
