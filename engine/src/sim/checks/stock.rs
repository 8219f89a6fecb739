//! The units of every row at the end, against what clients were told: what was received, less what was sold, is what is for sale.
//!
//! Exact, because every request was answered in the end and no hold is open: a basket half taken, an expired pin or a sale done twice all show here.

use super::{Violation, answers::Story, must, shadow::Shadow};
use crate::partition::Partition;
use std::collections::BTreeMap;
use wire::{HoldId, OrderStatus, RawId, SkuId, StockRow, placement};

pub(in crate::sim) fn check(story: &Story, shadow: &Shadow) -> Result<(), Violation> {
    reserved(story, shadow)?;
    ordered(story, shadow)
}

fn row(shadow: &Shadow, location: &str, sku: SkuId) -> Option<StockRow> {
    let partitions = u16::try_from(shadow.partitions().len()).expect("few partitions");
    let partition = placement::partition_of(placement::Space::Location, location.as_bytes(), partitions);
    shadow.partition(partition).stock_rows(sku).into_iter().find(|row| row.location == location)
}

/// SKUs of those who keep their orders elsewhere.
fn reserved(story: &Story, shadow: &Shadow) -> Result<(), Violation> {
    let mut sold: BTreeMap<(String, SkuId), u64> = BTreeMap::new();
    for (id, hold) in &story.holds {
        let has_sold = shadow.has_sold(HoldId(RawId(*id)));
        // Those last for an hour, so one that is not known any more was sold.
        must(hold.unsure.is_none() || !hold.is_kept || has_sold, || format!("a sale of {hold:?} was too late, and there was none before"))?;
        let unsure = hold.unsure.as_ref().filter(|_| has_sold);
        for (sku, units) in hold.sold.as_ref().or(unsure).into_iter().flatten() {
            *sold.entry((hold.location.clone(), *sku)).or_default() += u64::from(*units);
        }
    }
    for ((location, sku), received) in &story.received {
        let sold = sold.remove(&(location.clone(), *sku)).unwrap_or(0);
        let found = row(shadow, location, *sku);
        let is = found.as_ref().map(|row| (u64::from(row.available), u64::from(row.held), u64::from(row.committed)));
        let wanted = received.checked_sub(sold).map(|left| (left, 0, sold));
        must(is.is_some() && is == wanted, || {
            format!("{sku} at {location}: {received} units were received and {sold} sold, the row is {found:?}")
        })?;
    }
    must(sold.is_empty(), || format!("units were sold that nobody received: {sold:?}"))
}

/// SKUs of the shop's own orders.
fn ordered(story: &Story, shadow: &Shadow) -> Result<(), Violation> {
    let mut sold: BTreeMap<SkuId, u64> = BTreeMap::new();
    for order in shadow.partitions().iter().flat_map(Partition::orders) {
        if order.status == OrderStatus::Open {
            for line in &order.lines {
                *sold.entry(line.sku).or_default() += u64::from(line.quantity);
            }
        }
    }
    for product in &story.products {
        let partitions = u16::try_from(shadow.partitions().len()).expect("few partitions");
        let partition = placement::partition_of(placement::Space::Product, product.key.as_bytes(), partitions);
        let Some(found) = shadow.partition(partition).product_by_key(&product.key) else {
            must(product.version == 0, || format!("product {} is gone", product.key))?;
            continue;
        };
        let sku = found.skus[0];
        let mut committed = 0;
        for (location, booked) in &product.on_hand {
            let Some(row) = row(shadow, location, sku) else {
                return Err(Violation::new(format!("{} has no row at {location}", product.key)));
            };
            committed += u64::from(row.committed);
            let on_hand = row.on_hand();
            must(*booked >= 0 && on_hand == booked.unsigned_abs() && row.held == 0, || {
                format!("{} at {location}: {booked} units were booked, the row is {row:?}", product.key)
            })?;
        }
        let sold = sold.get(&sku).copied().unwrap_or(0);
        must(committed == sold, || format!("{}: {committed} units are committed, and orders have {sold}", product.key))?;
    }
    Ok(())
}
