//! Flows: what must be gathered before a command can be proposed, and how answers are made. One function per operation.
//!
//! Path: [`answer`] → principal and position checks → the operation's flow → [`Ctx::propose`] or a look at the partition → `views` → response.
//! A flow is an `async fn` over [`Ctx`] that does no I/O: it waits for values that the core sets (`shard/core/task.rs`).
//! Read first: [`answer`], then `cart.rs`; `checkout.rs` is the long one.

mod cart;
mod catalog;
pub(crate) mod checkout;
mod cluster;
mod common_synonyms;
mod effects;
mod feed;
mod order;
mod search;
mod search_cursor;
pub(crate) mod search_rules;
mod search_settings;
mod similar;
pub(crate) mod sourcing;
mod stock;
pub(crate) mod validate;
pub(crate) mod views;
mod warehouse;

pub(crate) use cluster::tell as tell_node;
pub use common_synonyms::COMMON as COMMON_SYNONYMS;

use crate::{
    partition::{Done, Outcome, Partition, Replay},
    record::v1::{Command, Entry},
    shard::core::{
        ctx::Ctx,
        peer::{Ask, Committed},
    },
};
use wire::{
    Body, CartId, Failure, Idempotency, Op, PartitionId, Position, Principal, Refusal, Request, Response, Role, SkuId, SkuRef, placement,
};

/// Reads of the catalog: the first to go under overload.
pub(crate) fn is_browsing(op: &Op) -> bool {
    matches!(
        op,
        Op::GetProduct(_)
            | Op::ListCategories
            | Op::GetCategory(_)
            | Op::Search(_)
            | Op::Suggest { .. }
            | Op::SimilarProducts { .. }
            | Op::GetAvailability(_)
    )
}

/// Operations of the system's own: they end what runs, so they go on when others are refused.
pub(crate) fn is_system(op: &Op) -> bool {
    matches!(op, Op::TakeEffects { .. } | Op::EffectResult(_) | Op::CheckStock(_))
}

/// Operations that write to the log.
pub(crate) fn is_command(op: &Op) -> bool {
    !op.is_read()
}

/// What a request leaves behind beside its answer.
#[derive(Default)]
struct Trail {
    positions: Vec<Position>,
    replayed: bool,
}

impl Trail {
    /// Notes a command and gives its outcome.
    fn note(&mut self, committed: Committed) -> Outcome {
        self.positions.push(committed.position);
        self.replayed |= committed.applied.replayed;
        committed.applied.outcome
    }
}

/// What surrounds an operation.
struct Head {
    principal: Principal,
    trace: u128,
    idempotency: Option<Idempotency>,
    if_match: Option<u64>,
    deadline_us: u64,
}

impl Head {
    /// The entry of the request's own command.
    fn entry(&self, command: Command) -> Entry {
        Entry { idempotency: self.idempotency, if_match: self.if_match, trace: self.trace, command }
    }

    /// Entities of other carts look like missing ones.
    fn guest_of(&self, cart: CartId) -> Result<(), Failure> {
        match self.principal {
            Principal::Guest { cart: own } if own == cart => Ok(()),
            Principal::Staff { role: Role::Support | Role::Admin } | Principal::System => Ok(()),
            Principal::Guest { .. } | Principal::Anonymous | Principal::Staff { .. } => Err(refused(Refusal::NotFound)),
        }
    }

    fn staff(&self, roles: &[Role]) -> Result<(), Failure> {
        match self.principal {
            Principal::System | Principal::Staff { role: Role::Admin } => Ok(()),
            Principal::Staff { role } if roles.contains(&role) => Ok(()),
            Principal::Staff { .. } | Principal::Guest { .. } | Principal::Anonymous => Err(refused(Refusal::Forbidden)),
        }
    }

    /// Whether it may see what is kept for those who write products: drafts, and margins.
    fn writes_products(&self) -> bool {
        matches!(self.principal, Principal::Staff { role: Role::Merchandiser | Role::Admin })
    }

    fn system(&self) -> Result<(), Failure> {
        if self.principal == Principal::System { Ok(()) } else { Err(refused(Refusal::Forbidden)) }
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused(refusal)
}

/// Carries out a request.
pub(crate) async fn answer(ctx: &Ctx, request: Request) -> Response {
    let mut trail = Trail::default();
    let result = match may_begin(ctx, &request).await {
        Ok(()) => run(ctx, &mut trail, request).await,
        Err(failure) => Err(failure),
    };
    Response { positions: trail.positions, replayed: trail.replayed, result }
}

/// Waits until what this node has is new enough for the request: it leads the request's partition and has all that was answered before; and every position
/// that the request names is reached.
async fn may_begin(ctx: &Ctx, request: &Request) -> Result<(), Failure> {
    ctx.with(|state| state.reached(&request.at_least))?;
    if ctx.with(|state| state.replication.is_none()) {
        return Ok(());
    }
    let until_us = ctx.now().mono_us.saturating_add(u64::from(request.timeout_ms) * 1_000);
    while !ctx.with(|state| state.has_all(&request.at_least)) {
        if ctx.now().mono_us >= until_us {
            return Err(Failure::DeadlineExceeded);
        }
        ctx.sleep_until(ctx.now().mono_us + BEHIND_LOOK_MS * 1_000).await;
    }
    let topology = ctx.config(|config| wire::Topology { partitions: config.partitions, shards: config.shards });
    match placement::route(&request.op, topology) {
        // Commands too: what is looked at before they are proposed may be a reason to refuse them, and a refusal is not logged.
        placement::Route::Partition(partition) => {
            ctx.with_mut(|state| state.read_barrier(partition)).await.unwrap_or(Err(Failure::Interrupted))
        }
        placement::Route::Shard(_) | placement::Route::Any => Ok(()),
    }
}

/// How often a replica that is behind is looked at.
const BEHIND_LOOK_MS: u64 = 2;

async fn run(ctx: &Ctx, trail: &mut Trail, request: Request) -> Result<Body, Failure> {
    let Request { principal, timeout_ms, trace, idempotency, if_match, at_least: _, op } = request;
    let deadline_us = ctx.now().mono_us.saturating_add(u64::from(timeout_ms) * 1_000);
    let head = Head { principal, trace, idempotency, if_match, deadline_us };
    match op {
        Op::GetProduct(product) => catalog::get(ctx, &head, &product),
        Op::ListCategories => catalog::list_categories(ctx).await,
        Op::GetCategory(category) => catalog::get_category(ctx, &category).await,
        Op::PutProduct(input) => catalog::put(ctx, &head, trail, *input).await,
        Op::DeleteProduct(product) => catalog::delete(ctx, &head, trail, &product).await,
        Op::PutCategory(input) => catalog::put_category(ctx, &head, trail, input).await,
        Op::Search(query) => search::search(ctx, &head, query).await,
        Op::Suggest { text, limit } => search::suggest(ctx, text, limit).await,
        Op::GetAvailability(skus) => stock::availability(ctx, skus).await,
        Op::GetStock(sku) => stock::get(ctx, &head, sku).await,
        Op::AdjustStock(adjustment) => stock::adjust(ctx, &head, trail, adjustment).await,
        Op::CreateCart { currency, partition } => cart::create(ctx, &head, trail, currency, partition).await,
        Op::GetCart(cart) => cart::get(ctx, &head, cart).await,
        Op::AddLine { cart, sku, quantity } => cart::add_line(ctx, &head, trail, cart, sku, quantity).await,
        Op::SetLineQuantity { cart, line, quantity } => cart::set_quantity(ctx, &head, trail, cart, line, quantity).await,
        Op::SetAddress { cart, address } => cart::set_address(ctx, &head, trail, cart, address).await,
        Op::Checkout { cart, email, payment, accept_total, wait_ms } => {
            let asked = checkout::Asked { cart, email, payment, accept_total, wait_ms };
            checkout::checkout(ctx, &head, trail, asked).await
        }
        Op::GetOrder(order) => order::get(ctx, &head, order),
        Op::PaymentAction { order, outcome, wait_ms } => order::payment_action(ctx, &head, trail, order, outcome, wait_ms).await,
        Op::CancelOrder { order, reason, wait_ms } => order::cancel(ctx, &head, trail, order, reason, wait_ms).await,
        Op::ListOrders { status, limit, after } => order::list(ctx, &head, status, limit, after).await,
        Op::TakeEffects { adapters, max, lease_ms, wait_ms, shard: _ } => {
            effects::take(ctx, &head, trail, effects::Wanted { adapters, max, lease_ms, wait_ms }).await
        }
        Op::EffectResult(result) => effects::result(ctx, &head, trail, result).await,
        Op::CheckStock(_) => stock::check(ctx, &head),
        Op::MoveApart(asked) => warehouse::move_apart(ctx, &head, trail, asked).await,
        Op::AnnounceDelivery(asked) => warehouse::announce(ctx, &head, trail, asked).await,
        Op::WithdrawDelivery { announcement } => warehouse::withdraw(ctx, &head, trail, announcement).await,
        Op::ReceiveDelivery(asked) => warehouse::receive(ctx, &head, trail, asked).await,
        Op::SendTransfer(asked) => warehouse::send(ctx, &head, trail, asked).await,
        Op::ArriveTransfer { transfer, lines } => warehouse::arrive(ctx, &head, trail, transfer, lines).await,
        Op::RecallTransfer { transfer } => warehouse::recall(ctx, &head, trail, transfer).await,
        Op::GetInventory(sku) => warehouse::get(ctx, &head, sku).await,
        Op::SetStockPolicy(asked) => warehouse::set_policy(ctx, &head, trail, asked).await,
        Op::SetPurchaseLimit { sku, limit } => warehouse::set_purchase_limit(ctx, &head, trail, sku, limit).await,
        Op::StockHistory { location, after, limit } => warehouse::history(ctx, &head, &location, after, limit),
        Op::StockEvents { location, after, limit } => warehouse::events(ctx, &head, &location, after, limit),
        Op::AuditStock(_) => warehouse::audit(ctx, &head),
        Op::Feed { from, limit } => feed::page(ctx, &head, from, limit).await,
        Op::Snapshots { shard: _, take } => {
            head.staff(&[])?;
            Ok(Body::Snapshots(ctx.with_mut(|state| state.snapshot_report(take))))
        }
        Op::PutSearchSetting { key, setting } => search_settings::put(ctx, &head, trail, key, setting).await,
        Op::DeleteSearchSetting { kind, key } => search_settings::delete(ctx, &head, trail, kind, key).await,
        Op::GetSearchSetting { kind, key } => search_settings::get(ctx, &head, kind, &key),
        Op::ListSearchSettings { kind, limit, after } => search_settings::list(ctx, &head, kind, limit, after.as_deref()),
        Op::SimilarProducts { product, filters, limit } => similar::similar(ctx, &product, filters, limit).await,
        Op::ClusterMap => Ok(Body::ClusterMap(ctx.with(cluster::map).map(Box::new))),
        Op::Replicas => cluster::replicas(ctx, &head).await,
        Op::AddNode(facts) => cluster::add(ctx, &head, trail, facts).await,
        Op::ChangeNode { node, address, zone, region, standing } => {
            cluster::change(ctx, &head, trail, node, cluster::Wanted { address, zone, region, standing }).await
        }
        Op::SearchQueries { without_results, limit } => search::queries(ctx, &head, without_results, limit).await,
        // Taken by the core before it comes to a flow.
        Op::Reserve(_)
        | Op::CommitReserved { .. }
        | Op::CommitReservedPart { .. }
        | Op::ExtendReserved { .. }
        | Op::ReleaseReserved { .. }
        | Op::ReceiveStock { .. } => Err(Failure::Internal),
        // `Op` may grow; a newer client's operation is not ours to guess.
        _ => Err(refused(Refusal::NotFound)),
    }
}

/// Reads a partition of this shard.
fn read<R>(ctx: &Ctx, partition: PartitionId, look: impl FnOnce(&Partition) -> R) -> Result<R, Failure> {
    ctx.with(|state| state.partition(partition).map(look)).ok_or(Failure::WrongShard)
}

/// The id of a SKU named by key or id. A missing key is `None`; whether an id exists is for its partition to say.
async fn resolve_sku(ctx: &Ctx, sku: &SkuRef) -> Result<Option<SkuId>, Failure> {
    let key = match sku {
        SkuRef::Id(id) => return Ok(Some(*id)),
        SkuRef::Key(key) => key,
    };
    let partitions = ctx.config(|config| config.partitions);
    let partition = placement::partition_of(placement::Space::SkuClaim, key.as_bytes(), partitions);
    match ctx.ask_partition(partition, Ask::ResolveSku(partition, key.clone())).await? {
        crate::shard::core::peer::Answer::Sku(found) => Ok(found),
        other => Err(crate::shard::core::ctx::unexpected(&other)),
    }
}

/// An idempotency key as it stands when its request arrives.
enum Keyed {
    /// First of its kind; the guard keeps others with the same key out until the command is applied.
    First(Option<KeyGuard>),
    /// The outcome of the first.
    Again(Outcome),
}

/// Frees the key when dropped.
struct KeyGuard {
    ctx: Ctx,
    partition: PartitionId,
    key: u128,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.ctx.with_mut(|state| {
            if let Some(slot) = state.partitions.get_mut(&self.partition) {
                slot.keys_in_use.remove(&self.key);
            }
        });
    }
}

/// Looks the key up before anything is gathered. Decided again in apply; this only saves the way there and tells "still running".
fn keyed(ctx: &Ctx, head: &Head, trail: &mut Trail, partition: PartitionId) -> Result<Keyed, Failure> {
    let Some(idempotency) = head.idempotency else { return Ok(Keyed::First(None)) };
    let replay = ctx.with_mut(|state| {
        let slot = state.partitions.get_mut(&partition).ok_or(Failure::WrongShard)?;
        match slot.partition.idempotent(&idempotency) {
            Some(replay) => Ok(Some(replay)),
            None if slot.partition.idempotency_full() => Err(Failure::Overloaded { retry_after_ms: 60_000 }),
            None if slot.keys_in_use.insert(idempotency.key) => Ok(None),
            None => Err(refused(Refusal::IdempotencyKeyInUse)),
        }
    })?;
    match replay {
        None => Ok(Keyed::First(Some(KeyGuard { ctx: ctx.clone(), partition, key: idempotency.key }))),
        Some(Replay::OtherBody) => Err(refused(Refusal::IdempotencyKeyReused)),
        Some(Replay::Same(outcome)) => {
            trail.replayed = true;
            Ok(Keyed::Again(outcome))
        }
    }
}

/// Runs a keyed command that needs nothing gathered: first outcome or the earlier one.
async fn once(ctx: &Ctx, head: &Head, trail: &mut Trail, partition: PartitionId, command: Command) -> Result<Done, Failure> {
    let outcome = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => outcome,
        Keyed::First(_guard) => trail.note(ctx.propose(partition, head.entry(command)).await?),
    };
    outcome.map_err(refused)
}
