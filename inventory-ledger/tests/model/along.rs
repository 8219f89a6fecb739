//! Whoever reads along: a table kept by the recorded movements alone, and the events that a change of rows must tell.

use std::collections::BTreeMap;

use inventory_ledger::*;

use crate::dull::Key;

#[derive(Default)]
pub(crate) struct Along {
    seen: Serial,
    heard: Serial,
    columns: BTreeMap<Key, BTreeMap<Place, i64>>,
    pub(crate) thresholds: BTreeMap<Key, Option<Units>>,
    before: BTreeMap<Key, Row>,
}

impl Along {
    /// Reads what one operation recorded, and compares both tables and all events with the rows it left.
    pub(crate) fn step(&mut self, ledger: &Ledger, rows: &BTreeMap<Key, Row>, filled: &[FilledLine]) {
        for record in ledger.history(self.seen, usize::MAX).expect("read after each operation") {
            assert_eq!((record.serial.0, record.at), (self.seen.0 + 1, ledger.now()));
            assert!(record.units > Units(0) && record.from != record.to);
            self.seen = record.serial;
            let columns = self.columns.entry((record.sku, record.location)).or_default();
            *columns.entry(record.from).or_default() -= i64::from(record.units.0);
            *columns.entry(record.to).or_default() += i64::from(record.units.0);
        }
        for (key, row) in rows {
            let of = |place| self.columns.get(key).and_then(|columns| columns.get(&place)).copied().unwrap_or(0);
            for (place, units) in [
                (Place::Available, row.available),
                (Place::Held, row.held),
                (Place::Committed, row.committed),
                (Place::Incoming, row.incoming),
                (Place::Unavailable, row.unavailable),
                (Place::InTransit, row.in_transit),
                (Place::Backordered, row.backordered),
            ] {
                assert_eq!(of(place), i64::from(units.0), "{place:?} of {key:?}");
            }
        }
        let mut wanted: Vec<String> = Vec::new();
        for (&(sku, location), row) in rows {
            let Some(Some(low)) = self.thresholds.get(&(sku, location)) else { continue };
            let (before, available) = (self.before.get(&(sku, location)).copied().unwrap_or_default().available, row.available);
            if before > *low && available <= *low {
                wanted.push(format!("{:?}", News::LowStock { sku, location, available }));
            }
            if before == Units(0) && available > Units(0) {
                wanted.push(format!("{:?}", News::BackInStock { sku, location, available }));
            }
        }
        let (mut told, mut given) = (Vec::new(), Vec::new());
        for event in ledger.events(self.heard, usize::MAX).expect("read after each operation") {
            assert_eq!((event.serial.0, event.at), (self.heard.0 + 1, ledger.now()));
            self.heard = event.serial;
            match event.news {
                News::Filled(line) => given.push(line),
                level => told.push(level),
            }
        }
        // A row that changes by several lines tells at the first of them that crosses.
        let kinds = |news: &News| match *news {
            News::LowStock { sku, location, .. } => ("low", sku, location),
            News::BackInStock { sku, location, .. } => ("back", sku, location),
            News::Filled(line) => ("filled", line.sku, line.location),
        };
        let mut told: Vec<_> = told.iter().map(kinds).map(|(kind, sku, location)| format!("{kind} {sku:?} {location:?}")).collect();
        told.sort();
        let short = |text: String| {
            let kind = if text.starts_with("LowStock") { "low" } else { "back" };
            let place = text.split_once("sku: ").unwrap().1.split_once(", available").unwrap().0.replace(", location:", "");
            format!("{kind} {place}")
        };
        let mut wanted: Vec<_> = wanted.into_iter().map(short).collect();
        wanted.sort();
        assert_eq!(told, wanted);
        assert_eq!(given, filled);
        self.before.clone_from(rows);
    }
}
