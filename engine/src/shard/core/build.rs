//! From the log to a running core: entries are replayed in order, then the index and the shared views are made from the state.
//!
//! Path: snapshots → [`Builder::restore`] → folder's logs → [`Builder::replay`] for every later entry of the shard's partitions → [`Builder::finish`], with
//! what was saved of the index ([`Builder::take_index`]) → [`ShardCore`], which sends every effect that is left. A builder is `Send`; the core it makes
//! stays on its thread.

use super::queries::Queries;
use super::{
    Cluster, Config, ShardCore,
    clock::LogClock,
    feed::Readers,
    index_files::{IndexFiles, IndexFound},
    pipeline::Pipeline,
    replicas::{Replica, Replication},
    snapshots::{self, Snapshots},
    state::{Random, Slot, State, Timers},
    task::Tasks,
    tidying::Tidying,
    transfer::Transfers,
    wait::Waits,
};
use crate::{
    domain::product::Product,
    events::{Catalog, EventLog, LogName},
    flow,
    log::{LogIdentity, Writer},
    partition::{Changes, Partition},
    record::{self, RecordError},
    replication::{Found, FoundError, Membership, Place, Said, group},
    shard::{Now, files::Jobs},
    snapshot::Header,
};
use hashbrown::HashMap;
use std::{
    collections::{BTreeMap, VecDeque},
    rc::Weak,
    sync::Arc,
};
use wire::{Millis, PartitionId, SkuId};

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The partition is another shard's: a fault of the caller.
    #[error("partition {partition} is not this shard's")]
    Foreign {
        /// Which.
        partition: u16,
    },
    /// What the log says of a group does not fit together.
    #[error("partition {partition}: {why}: restore the folder from a backup, or replace this node from a peer")]
    Group {
        /// Which.
        partition: u16,
        /// What does not.
        why: String,
    },
    /// An entry cannot be read.
    #[error("entry {index} of partition {partition}")]
    Record {
        /// Which.
        partition: u16,
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        source: RecordError,
    },
}

/// A partition from a snapshot.
pub(crate) struct Restored {
    pub(crate) partition: Partition,
    /// Of the last entry inside.
    pub(crate) place: Place,
    /// Length of its file.
    pub(crate) file_bytes: u64,
}

/// A core that is being filled from the log.
pub struct Builder {
    config: Config,
    partitions: BTreeMap<PartitionId, Replayed>,
    changes: Changes,
    last_time: Millis,
    catalog: Arc<Catalog>,
    events: EventLog,
    index: IndexFound,
    trusts_log: bool,
}

/// A partition, as far as it is replayed.
struct Replayed {
    partition: Partition,
    /// What the logs say of its group.
    found: Found,
    /// Index of the last entry inside the snapshot it began with, or that was made of it since.
    snapshot: Option<u64>,
    /// Where the last entry of the snapshot it began with stands.
    begun: Option<Place>,
    /// Length of that snapshot's file.
    file_bytes: u64,
}

impl Replayed {
    fn fresh(id: PartitionId, config: &Config) -> Self {
        let partition = Partition::new(id, config.epoch, config.partitions);
        Self { partition, found: Found::default(), snapshot: None, begun: None, file_bytes: 0 }
    }

    /// Index of the last entry inside.
    fn last(&self) -> u64 {
        self.found.applied().index
    }
}

impl Builder {
    /// Empty partitions, those that the shard owns, and the event logs of the folder.
    #[must_use]
    pub fn new(config: Config, catalog: Arc<Catalog>) -> Self {
        let owned = (0..config.partitions).map(PartitionId).filter(|id| config.owns(*id));
        let partitions = owned.clone().map(|id| (id, Replayed::fresh(id, &config))).collect();
        let events = EventLog::new(config.events, owned, &catalog);
        Self {
            config,
            partitions,
            changes: Changes::default(),
            last_time: Millis(0),
            catalog,
            events,
            index: IndexFound::default(),
            trusts_log: false,
        }
    }

    /// Begins with a snapshot that has everything up to there.
    ///
    /// # Errors
    /// [`ReplayError::Foreign`].
    ///
    /// # Panics
    /// When the partition is not as it was made: snapshots come first.
    pub(crate) fn restore(&mut self, restored: Restored) -> Result<(), ReplayError> {
        let Restored { partition, place, file_bytes } = restored;
        let id = partition.id();
        let Some(replayed) = self.partitions.get_mut(&id) else { return Err(ReplayError::Foreign { partition: id.0 }) };
        assert!(replayed.last() == 0 && replayed.snapshot.is_none(), "partition {} has entries before its snapshot", id.0);
        self.last_time = self.last_time.max(partition.last_time());
        self.events.begins_behind(id, partition.seq());
        *replayed = Replayed { partition, found: Found::above(place), snapshot: Some(place.index), begun: Some(place), file_bytes };
        Ok(())
    }

    /// Takes the next word of the logs about a partition, and applies what is committed.
    ///
    /// # Errors
    /// See [`ReplayError`]; the state is then of no use.
    pub(crate) fn replay(&mut self, partition: PartitionId, said: Said<'_>) -> Result<(), ReplayError> {
        let Self { partitions, changes, events, last_time, .. } = self;
        let Some(Replayed { partition: state, found, .. }) = partitions.get_mut(&partition) else {
            return Err(ReplayError::Foreign { partition: partition.0 });
        };
        let apply = |index, time: Millis, body: &[u8]| {
            let entry = record::decode(body).map_err(|source| ReplayError::Record { partition: partition.0, index, source })?;
            state.apply(time, &entry, changes);
            events.append(0, &changes.events);
            events.shorten();
            changes.clear();
            *last_time = (*last_time).max(time);
            Ok(())
        };
        found.take(said, apply).map_err(|error| match error {
            FoundError::Apply(error) => error,
            FoundError::Void { .. } | FoundError::Change(_) | FoundError::Alone => {
                ReplayError::Group { partition: partition.0, why: error.to_string() }
            }
        })
    }

    /// A partition whose events go further than the log, with how many commands each has: what the log lacks was acknowledged.
    #[must_use]
    pub fn events_ahead(&self) -> Option<(PartitionId, u64, u64)> {
        let ahead = |(id, Replayed { partition, .. }): (&PartitionId, &Replayed)| {
            let (events, log) = (self.catalog.covered(*id).0, partition.seq().0);
            (events > log).then_some((*id, events, log))
        };
        self.partitions.iter().find_map(ahead)
    }

    /// Do the logs name members of a group?
    #[must_use]
    pub fn is_of_a_cluster(&self) -> bool {
        self.partitions.values().any(|replayed| replayed.found.has_members())
    }

    /// The time of the newest entry; 0 when there is none.
    #[must_use]
    pub fn last_time(&self) -> Millis {
        self.last_time
    }

    /// The partitions as replayed, in order.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values().map(|replayed| &replayed.partition)
    }

    /// A partition some of whose events are not durable: what they came from must be replayed again until they are.
    pub(crate) fn events_behind(&self) -> Option<PartitionId> {
        self.partitions.iter().find(|(id, replayed)| self.events.durable(**id) < replayed.partition.seq()).map(|(id, _)| *id)
    }

    /// Gives `save` each partition of which there is no snapshot with all that is in it, under its header, with the index of the older snapshot.
    ///
    /// # Errors
    /// The first of `save`; the partitions before it have theirs.
    pub(crate) fn save<E>(
        &mut self,
        created: Millis,
        mut save: impl FnMut(&Header, &mut Partition, Option<u64>) -> Result<(), E>,
    ) -> Result<(), E> {
        for Replayed { partition, found, snapshot, .. } in
            self.partitions.values_mut().filter(|replayed| replayed.snapshot != Some(replayed.last()))
        {
            let place = found.applied();
            let header = snapshots::header(&self.config, partition, place, created);
            save(&header, partition, *snapshot)?;
            *snapshot = Some(place.index);
        }
        Ok(())
    }

    /// What was saved of the index: products that are still the same need not be analysed again.
    pub fn take_index(&mut self, found: IndexFound) {
        self.index = found;
    }

    /// A node that joined may end between two steps: the file of a snapshot that came has its name, and the log does not say yet who the members are. With that state and no
    /// members it would take part, and make of the change that gives it a vote a group of its own. So it begins anew with that partition, and gets it again.
    fn forget_what_has_no_members(&mut self) {
        let Self { config, partitions, .. } = self;
        if config.cluster.as_ref().is_none_or(|cluster| !cluster.members.is_empty()) {
            return;
        }
        for (id, replayed) in partitions.iter_mut().filter(|(_, replayed)| replayed.begun.is_some() && !replayed.found.has_members()) {
            tracing::info!(partition = id.0, "a snapshot of another node without its members in the log: it is asked for again");
            *replayed = Replayed::fresh(*id, config);
        }
    }

    /// On a node of a cluster: the log has all that the node acknowledged although it may not end with a mark. Nothing of it can have been damaged, or somebody
    /// answers for it.
    pub fn trust_log(&mut self) {
        self.trusts_log = true;
    }

    /// The core, its index made, its log going on with `writer`. Call it on the shard's own thread.
    #[must_use]
    pub fn finish(self, writer: Writer, now: Now, seed: [u8; 32]) -> ShardCore {
        let mut this = self;
        this.forget_what_has_no_members();
        let may_have_lost = !writer.goes_on_marked() && !this.trusts_log;
        #[cfg_attr(not(feature = "mutants"), expect(unused_mut, reason = "a mutant forgets keys"))]
        let Self { config, mut partitions, changes: _, last_time, catalog, mut events, index: found, trusts_log: _ } = this;
        let LogIdentity { folder, generation, shard, shards } = writer.log();
        events.begin(LogName { folder, generation, shard, shards, epoch: config.epoch }, &catalog);
        events.applied(now.mono_us);
        let tasks = Tasks::default();
        let mut docs = HashMap::default();
        for product in partitions.values().flat_map(|replayed| replayed.partition.products()) {
            docs.insert(super::deliver::doc_key(product.id), config.doc(product));
        }
        let mut index_files = IndexFiles::new(config.shard, config.shards);
        let index =
            make_index(config.shared.search_language(), partitions.values().map(|replayed| &replayed.partition), found, &mut index_files);
        #[cfg(feature = "mutants")]
        if crate::mutants::is(crate::mutants::Mutant::LostKeys) {
            partitions.values_mut().for_each(|replayed| replayed.partition.forget_keys());
        }
        let mut marks = Vec::new();
        let cluster = config.cluster.clone();
        let slots = partitions.into_iter().map(|(id, Replayed { partition, found, snapshot, begun, file_bytes })| {
            let applied = found.applied();
            let replica = cluster.as_ref().map(|cluster| {
                marks.extend(begun.map(|place| (id, place)));
                let Cluster { node, incarnation, members, facts: _, peers: _ } = cluster;
                let mut tail = found.end(|| Membership { voters: members.iter().map(|node| node.0).collect(), ..Membership::default() });
                if let Some(index) = snapshot {
                    tail.made_snapshot(index);
                }
                let (node, incarnation) = (*node, *incarnation);
                let begin = group::Begin { group: id.0, node, incarnation, tail, applied: applied.index, may_have_lost };
                Box::new(Replica::new(group::Group::new(begin)))
            });
            let slot = Slot {
                partition,
                appended: applied.index,
                applied,
                replica,
                snapshot,
                snapshot_bytes: file_bytes,
                keys_in_use: hashbrown::HashSet::default(),
                timers_running: false,
                next_timer: None,
                timer_stale: false,
            };
            (id, slot)
        });
        let mut state = State {
            now,
            clock: LogClock::new(last_time, now),
            partitions: slots.collect(),
            timers: Timers::default(),
            index,
            index_files,
            tidying: Tidying::written(now.mono_us),
            queries: Queries::default(),
            docs,
            row_stock: HashMap::default(),
            pipeline: Pipeline::new(writer),
            replication: config.cluster.as_ref().map(|cluster| Replication::new(cluster.node, cluster.incarnation)),
            files: Jobs::default(),
            snapshots: Snapshots::default(),
            transfers: Transfers::default(),
            remove_again_us: None,
            events,
            events_full: false,
            readers: Readers::default(),
            waits: Waits::default(),
            outputs: VecDeque::new(),
            answered: Vec::new(),
            spawn: Vec::new(),
            reactor: tasks.reactor(),
            asked: HashMap::default(),
            next_ask: 0,
            random: Random::new(seed),
            draining: false,
            closed: false,
            me: Weak::new(),
            config,
        };
        let mut rows: Vec<(SkuId, u32)> = Vec::new();
        let mut backorders = Vec::new();
        for slot in state.partitions.values() {
            rows.extend(slot.partition.stock().rows().map(|(sku, _, row)| (sku, row.available.0)));
            backorders.extend(slot.partition.stock().backorderable());
        }
        for (sku, available) in rows {
            state.stock_word(sku).moved(0, available);
        }
        for sku in backorders {
            state.stock_word(sku).takes_backorders(true);
        }
        let ids: Vec<_> = state.partitions.keys().copied().collect();
        for id in ids {
            state.publish_settings(id);
            state.timer_changed(id);
        }
        let mut core = ShardCore::new(state, tasks);
        core.state.borrow_mut().begin(marks);
        core.run();
        core
    }
}

/// The index of everything for sale: what was saved and is still true, and the rest from its texts.
fn make_index<'a>(
    language: search_index::Language,
    partitions: impl Iterator<Item = &'a Partition>,
    found: IndexFound,
    files: &mut IndexFiles,
) -> search_index::Index {
    let for_sale = partitions.flat_map(Partition::products).filter(|product| product.is_for_sale());
    let for_sale: HashMap<search_index::DocKey, &Product, foldhash::fast::FixedState> =
        for_sale.map(|product| (super::deliver::doc_key(product.id), &**product)).collect();
    let mut index = search_index::Index::new(flow::views::index_settings(language));
    let mut scratch = Vec::new();
    let taken = files.adopt(&mut index, found, |key| {
        let product = for_sale.get(&key)?;
        Some(search_index::Current { stamp: flow::views::stamp(product, &mut scratch), columns: flow::views::columns(product) })
    });
    // By key, which is the order they were made in: equal states give equal indexes.
    let mut rest: Vec<&Product> = for_sale.iter().filter(|(key, _)| !index.contains(**key)).map(|(_, product)| *product).collect();
    rest.sort_unstable_by_key(|product| super::deliver::doc_key(product.id));
    let new = rest.len();
    index_texts(&mut index, rest);
    tracing::debug!(taken, new, "indexed");
    index
}

/// Indexes products from their texts. One that the index refuses, as its bounds are not the catalog's, is left out: it is still sold, and found by its key.
fn index_texts<'a>(index: &mut search_index::Index, products: impl IntoIterator<Item = &'a Product>) {
    let documents = products.into_iter().filter_map(|product| {
        let document = flow::views::document(product);
        match document.check() {
            Ok(()) => Some(document),
            Err(error) => {
                tracing::error!(%error, product = %product.id, "a product cannot be indexed");
                None
            }
        }
    });
    index.extend(documents).expect("each document was checked");
}

#[cfg(test)]
mod tests {
    use super::index_texts;
    use crate::{
        domain::{content::Content, product::Product},
        flow::views::test_product,
    };
    use wire::{ProductId, RawId};

    #[test] // Codes of all its variants are words of one text, which the catalog lets be longer than the index does.
    fn a_product_that_the_index_refuses_does_not_keep_the_others_out() {
        let mut products: Vec<Product> = (1..=3).map(|seq| Product { id: ProductId(RawId(seq << 16)), ..test_product() }).collect();
        let mut content = products[1].content.unpacked();
        let variant = content.variants[0].clone();
        content.variants.resize(300, variant);
        content.variants.iter_mut().for_each(|variant| variant.barcodes.resize(16, "7".repeat(64)));
        products[1].content = Content::new(&content);
        let sku = products[1].skus[0];
        products[1].skus.resize(300, sku);
        assert!(crate::flow::views::document(&products[1]).check().is_err());
        let mut index = search_index::Index::default();
        index_texts(&mut index, &products);
        let has = |product: &Product| index.contains(crate::shard::core::doc_key(product.id));
        assert_eq!(products.iter().map(has).collect::<Vec<_>>(), [true, false, true]);
    }
}
