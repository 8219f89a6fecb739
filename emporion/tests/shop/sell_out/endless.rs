//! Buyers on the link of a cluster, who go on until they are told to stop, whatever becomes of its nodes; then their history is checked.
//!
//! All stock is at one location, so all they do is in the log of one partition, whoever leads it.

use super::{
    LOCATION, Sale, Sizes,
    link::{Connection, Server},
    wire_buyer::Buyer,
};
use crate::{
    api::Api,
    crashes::random,
    history::{self, Exchange, History},
    process::PATIENCE,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use wire::placement::{PARTITIONS_DEFAULT, Space, partition_of};

/// More attempts than anybody makes.
const ENDLESS: u64 = 1 << 40;
const SIZES: Sizes =
    Sizes { units: 600, skus: 6, attempts: ENDLESS, connections: 2, buyers: 1, checkouts: 0, guests: 0, kills: 0, bought_one_in: 40 };

/// A sale under way.
pub(crate) struct Endless {
    sale: Arc<Sale>,
    api: Api,
    history: History,
    // Whoever has it could pause the sale.
    _open: watch::Sender<bool>,
    buyers: JoinSet<(Vec<Exchange>, u64)>,
}

impl Endless {
    /// Over the link to these nodes: whoever of them leads.
    pub(crate) async fn start(api: &Api, nodes: &[Server], draws: &mut u64) -> Self {
        let (open, is_open) = watch::channel(true);
        let (sale, stock) = Sale::start(api, SIZES, is_open).await;
        let mut buyers = JoinSet::new();
        for number in 0..SIZES.connections as u64 {
            let connection = Arc::new(Connection::to_any(nodes.to_vec()));
            buyers.spawn(Buyer::new(Arc::clone(&sale), connection, number, random(draws)).buy());
        }
        Self { sale, api: api.clone(), history: History { stock, ..History::default() }, _open: open, buyers }
    }

    /// Waits for all answers, and proves that together they could be.
    pub(crate) async fn end(mut self) {
        self.sale.end();
        let mut lost = 0;
        for (mut exchanges, losses) in self.buyers.join_all().await {
            self.history.exchanges.append(&mut exchanges);
            lost += losses;
        }
        // What was left to fall back has yet to.
        let until = Instant::now() + PATIENCE;
        loop {
            let mut rows = self.sale.rows(&self.api).await;
            let is_held = rows.iter().any(|row| row.held > 0);
            self.history.rows.append(&mut rows);
            if !is_held {
                break;
            }
            assert!(Instant::now() < until, "units are still held: {:?}", self.history.rows.last());
            sleep(Duration::from_millis(100)).await;
        }
        let partition = partition_of(Space::Location, LOCATION.as_bytes(), PARTITIONS_DEFAULT);
        assert!(self.history.exchanges.iter().all(|exchange| exchange.position.partition == partition));
        let history = &self.history;
        let figures = history::check(history).unwrap_or_else(|violation| panic!("{violation:?}\n{}", super::told(history, &violation)));
        println!("{} answers on the link, {lost} lost on the way: {figures:?}", history.exchanges.len());
        assert!(figures.reserved > 0 && figures.released > 0, "it was no sale: {figures:?}");
    }
}
