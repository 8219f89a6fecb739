//! Which partition a key lives on, and which shard owns a partition.
//!
//! Boundary: these hashes decide where stored data lies. They never change for a folder that exists.

use crate::{
    Announcement, ApartMove, CategoryRef, Delivery, Op, PartitionId, ProductRef, Reservation, ShardId, SkuRef, StockPolicy, Topology,
    Transfer,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Partitions of a cluster that does not say otherwise.
pub const PARTITIONS_DEFAULT: u16 = 64;

/// Separates the key spaces, so that a SKU and a location of the same name do not meet by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Space {
    /// Product keys.
    Product = 1,
    /// Claims on SKU keys.
    SkuClaim = 2,
    /// Location codes.
    Location = 3,
    /// The category tree, all of it on one partition.
    Categories = 4,
    /// Guests' carts, by idempotency key or random number.
    Cart = 5,
    /// Settings of the search, all of them on one partition.
    SearchSettings = 6,
}

/// The partition of `key` in `space`.
#[must_use]
pub fn partition_of(space: Space, key: &[u8], partitions: u16) -> PartitionId {
    // Fixed-point multiplication maps a 64-bit hash evenly onto 0..partitions.
    let hash = xxh3_64_with_seed(key, space as u64);
    PartitionId(((u128::from(hash) * u128::from(partitions)) >> 64) as u16)
}

/// The partition of the cluster's nodes.
pub const NODES_PARTITION: PartitionId = PartitionId(0);

/// The partition of the category tree.
#[must_use]
pub fn categories_partition(partitions: u16) -> PartitionId {
    partition_of(Space::Categories, b"", partitions)
}

/// The partition of the search's settings.
#[must_use]
pub fn search_settings_partition(partitions: u16) -> PartitionId {
    partition_of(Space::SearchSettings, b"", partitions)
}

/// The shard of this node that owns `partition`.
#[must_use]
pub const fn shard_of(partition: PartitionId, shards: u16) -> ShardId {
    ShardId(partition.0 % shards)
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the owner of this partition.
    Partition(PartitionId),
    /// To this shard.
    Shard(ShardId),
    /// To any shard; it asks the others.
    Any,
}

/// Where `op` goes. Pure: client and engine compute the same.
#[must_use]
pub fn route(op: &Op, topology: Topology) -> Route {
    let by_key = |space, key: &str| partition_of(space, key.as_bytes(), topology.partitions);
    let sku = |sku: &SkuRef| match sku {
        SkuRef::Id(id) => id.partition(),
        SkuRef::Key(key) => by_key(Space::SkuClaim, key),
    };
    let product = |product: &ProductRef| match product {
        ProductRef::Id(id) => id.partition(),
        ProductRef::Key(key) => by_key(Space::Product, key),
    };
    let partition = match op {
        Op::GetProduct(reference) | Op::DeleteProduct(reference) | Op::SimilarProducts { product: reference, .. } => product(reference),
        Op::PutProduct(input) => by_key(Space::Product, &input.key),
        Op::ListCategories | Op::PutCategory(_) => categories_partition(topology.partitions),
        Op::GetCategory(CategoryRef::Id(_) | CategoryRef::Key(_)) => categories_partition(topology.partitions),
        Op::PutSearchSetting { .. } | Op::DeleteSearchSetting { .. } | Op::GetSearchSetting { .. } | Op::ListSearchSettings { .. } => {
            search_settings_partition(topology.partitions)
        }
        Op::CreateCart { partition, .. } => *partition,
        Op::GetCart(cart)
        | Op::AddLine { cart, .. }
        | Op::SetLineQuantity { cart, .. }
        | Op::SetAddress { cart, .. }
        | Op::Checkout { cart, .. } => cart.partition(),
        Op::GetOrder(order) | Op::PaymentAction { order, .. } | Op::CancelOrder { order, .. } => order.partition(),
        Op::AdjustStock(adjustment) => by_key(Space::Location, &adjustment.location),
        Op::Reserve(Reservation { location, .. })
        | Op::CommitReserved { location, .. }
        | Op::CommitReservedPart { location, .. }
        | Op::ExtendReserved { location, .. }
        | Op::ReleaseReserved { location, .. }
        | Op::ReceiveStock { location, .. }
        | Op::MoveApart(ApartMove { location, .. })
        | Op::AnnounceDelivery(Announcement { location, .. })
        | Op::ReceiveDelivery(Delivery { location, .. })
        | Op::SendTransfer(Transfer { from: location, .. })
        | Op::SetStockPolicy(StockPolicy { location, .. })
        | Op::StockHistory { location, .. }
        | Op::StockEvents { location, .. } => by_key(Space::Location, location),
        Op::WithdrawDelivery { announcement } => announcement.partition(),
        Op::ArriveTransfer { transfer, .. } | Op::RecallTransfer { transfer } => transfer.partition(),
        Op::GetStock(reference) | Op::GetInventory(reference) | Op::SetPurchaseLimit { sku: reference, .. } => sku(reference),
        Op::EffectResult(result) => result.id.partition(),
        Op::AddNode(_) | Op::ChangeNode { .. } => NODES_PARTITION,
        Op::TakeEffects { shard, .. } | Op::CheckStock(shard) | Op::AuditStock(shard) | Op::Snapshots { shard, .. } => {
            return Route::Shard(*shard);
        }
        Op::Search(_)
        | Op::Suggest { .. }
        | Op::GetAvailability(_)
        | Op::ListOrders { .. }
        | Op::Feed { .. }
        | Op::SearchQueries { .. }
        | Op::ClusterMap
        | Op::Replicas => {
            return Route::Any;
        }
    };
    // An id from outside may name a partition that does not exist; its owner answers "not found".
    Route::Partition(PartitionId(partition.0 % topology.partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Stored data lies by these: a change here loses it.
    fn placement_is_frozen() {
        let rows = [(Space::Product, "1399", 64), (Space::SkuClaim, "1399", 64), (Space::Location, "main", 64), (Space::Cart, "", 64)];
        let found: Vec<u16> = rows.iter().map(|(space, key, n)| partition_of(*space, key.as_bytes(), *n).0).collect();
        assert_eq!(found, FROZEN);
        assert_eq!(categories_partition(64).0, FROZEN_CATEGORIES);
        assert_eq!(search_settings_partition(64).0, FROZEN_SEARCH_SETTINGS);
    }
    const FROZEN: [u16; 4] = [19, 16, 61, 14];
    const FROZEN_CATEGORIES: u16 = 49;
    const FROZEN_SEARCH_SETTINGS: u16 = 25;

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0u32; 64];
        for i in 0..64_000u32 {
            counts[usize::from(partition_of(Space::Product, &i.to_le_bytes(), 64).0)] += 1;
        }
        assert!(counts.iter().all(|n| (800..1_200).contains(n)), "{counts:?}");
    }
}
