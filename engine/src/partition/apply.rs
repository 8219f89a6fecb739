//! One entry: numbered, checked against the idempotency table, run, remembered.
//!
//! Path: [`Partition::apply`] → `run` → the table that owns the entity → [`Outcome`] and events → the idempotency table.
//! Every entry takes a number, also one that is refused or replayed; none can fail or stop the partition.

use super::{
    Applied, ApplyContext, Changes, Done, Outcome, Partition, Replay, categories, cluster, outbox::Concern, search_settings, timers,
};
use crate::mutants::{self, Mutant};
use crate::record::v1::{Command, Entry};
use wire::{EffectOutcome, Millis, Refusal, Seq};

impl Partition {
    /// Applies the next entry of the log. `time` is the entry's; one before the last is taken as the last.
    ///
    /// Never fails and never panics on a decoded entry: what cannot be done is refused, and the refusal is the outcome. `changes` is
    /// added to, so that the shard may gather the changes of several entries.
    pub fn apply(&mut self, time: Millis, entry: &Entry, changes: &mut Changes) -> Applied {
        self.last_time = self.last_time.max(time);
        self.seq = Seq(self.seq.0 + 1);
        let seq = self.seq;
        let outcome = match &entry.idempotency {
            None => self.run(entry, changes),
            Some(idempotency) => match self.keys.look_up(idempotency) {
                Some(Replay::Same(outcome)) => return Applied { seq, outcome, replayed: true },
                Some(Replay::OtherBody) => Err(Refusal::IdempotencyKeyReused),
                None if self.keys.is_full() => Err(self.keys.full()),
                None => {
                    let outcome = self.run(entry, changes);
                    self.keys.remember(self.last_time, idempotency, entry.if_match, &outcome);
                    outcome
                }
            },
        };
        Applied { seq, outcome, replayed: false }
    }

    fn run(&mut self, entry: &Entry, changes: &mut Changes) -> Outcome {
        let Self {
            id,
            epoch,
            partitions,
            seq,
            last_time,
            keys,
            outbox,
            products,
            claims,
            categories: tree,
            search_settings: settings,
            nodes,
            stock,
            carts,
            orders,
            frozen: _,
        } = self;
        let mut ctx = ApplyContext {
            time: *last_time,
            seq: *seq,
            partition: *id,
            partitions: *partitions,
            epoch: *epoch,
            if_match: entry.if_match,
            outbox,
            changes,
            ordinal: 0,
        };
        let ctx = &mut ctx;
        let (first_event, first_row) = (ctx.changes.events.len(), ctx.changes.stock.len());
        let outcome = 'run: {
            match &entry.command {
                Command::PutProduct(content) => products.put(ctx, content, None),
                Command::PutProductWithMargin { content, margin } => products.put(ctx, content, Some(*margin)),
                Command::DeleteProduct { product } => products.delete(ctx, *product),

                Command::ClaimSku { key, owner } => claims.claim(ctx, key, owner),
                Command::FinaliseSku { key, owner, sku } => claims.finalise(ctx, key, owner, *sku),
                Command::ReleaseSku { key, owner, sku } => claims.release(ctx, key, owner, *sku),

                Command::EnsureCategory { key } => categories::ensure(tree, ctx, key),
                Command::PutCategory { key, name, parent } => categories::put(tree, ctx, key, name, parent.as_deref()),

                Command::OpenStock { id, sku, location, on_hand } => stock.open(ctx, *id, *sku, location, *on_hand),
                Command::AdjustStock { id, sku, location, change, reason } => stock.adjust(ctx, *id, *sku, location, *change, reason),
                Command::Hold { hold, order, location, lines, ttl_ms } => stock.hold(ctx, *hold, *order, location, lines, *ttl_ms, false),
                Command::HoldPart { hold, order, location, lines, ttl_ms } => {
                    stock.hold(ctx, *hold, *order, location, lines, *ttl_ms, true)
                }
                Command::Pin { hold } => stock.pin(ctx, *hold),
                Command::CommitHold { hold } => stock.commit(ctx, *hold),
                Command::ReleaseHold { hold } => stock.release(ctx, *hold),
                Command::Restock { hold } => stock.restock(ctx, *hold),

                Command::Reserve { hold, owner, location, lines, ttl_ms, partial } => {
                    stock.reserve(ctx, *hold, *owner, location, lines, *ttl_ms, *partial)
                }
                Command::CommitReserved { hold } => stock.commit_reserved(ctx, *hold),
                Command::CommitReservedPart { hold, location, lines } => stock.commit_reserved_part(ctx, *hold, location, lines),
                Command::ExtendReserved { hold, ttl_ms } => stock.extend_reserved(ctx, *hold, *ttl_ms),
                Command::ReleaseReserved { hold } => stock.release_reserved(ctx, *hold),
                Command::ReceiveStock { id, location, lines } => stock.receive(ctx, *id, location, lines),

                Command::MoveApart { id, sku, location, step, why, units } => {
                    stock.move_apart(ctx, *id, *sku, location, *step, *why, *units)
                }
                Command::AnnounceStock { location, due, reference, lines } => stock.announce(ctx, location, *due, reference, lines),
                Command::WithdrawStock { id, announcement } => stock.withdraw(ctx, *id, *announcement),
                Command::ReceiveAnnounced { id, announcement, location, lines } => {
                    stock.receive_announced(ctx, *id, *announcement, location, lines)
                }
                Command::SendStock { from, to, lines } => stock.send(ctx, from, to, lines),
                Command::ArriveStock { id, transfer, lines } => stock.arrive(ctx, *id, *transfer, lines.as_deref()),
                Command::RecallStock { id, transfer } => stock.recall(ctx, *id, *transfer),
                Command::LandStock { id, location, lines } => stock.land(ctx, *id, location, lines),
                Command::ForgetLanding { id } => stock.forget_landing(*id),
                Command::SetPolicy { sku, location, policy, low_stock } => stock.set_policy(ctx, *sku, location, *policy, *low_stock),
                Command::SetPurchaseLimit { sku, per_order, per_customer } => {
                    stock.set_purchase_limit(ctx, *sku, *per_order, *per_customer)
                }

                Command::CreateCart { currency } => carts.apply_create(ctx, *currency),
                Command::AddLine { cart, sku, product, quantity } => carts.add_line(ctx, *cart, *sku, *product, *quantity),
                Command::SetLineQuantity { cart, line, quantity } => carts.set_line_quantity(ctx, *cart, *line, *quantity),
                Command::SetAddress { cart, address } => carts.set_address(ctx, *cart, address),
                Command::PlaceOrder(place) => orders.place(ctx, carts, place),
                Command::ResourceOrder { order, attempt, plan } => orders.resource(ctx, carts, *order, *attempt, plan),
                Command::PaymentAction { order, outcome } => orders.payment_action(ctx, carts, *order, *outcome),
                Command::CancelOrder { order, reason } => orders.cancel(ctx, carts, *order, reason),

                Command::EffectAnswered { effect, answer } => {
                    let Some(taken) = ctx.outbox.take_for_partition(*effect) else { break 'run Ok(Done::Nothing) };
                    ctx.changes.answered.push(*effect);
                    match taken.concern {
                        Concern::Order(order) => orders.effect_answered(ctx, carts, order, *effect, &taken, answer),
                        Concern::Arrival(transfer, arrival) => {
                            stock.landing_answered(ctx, transfer, arrival, answer);
                            Ok(Done::Nothing)
                        }
                        Concern::None => {
                            products.effect_answered(&taken, answer);
                            Ok(Done::Nothing)
                        }
                    }
                }
                Command::LeaseEffects { effects, holder: _, ttl_ms } => {
                    let fence = ctx.seq.0;
                    let effects = ctx.outbox.lease(effects, fence, ctx.time, *ttl_ms);
                    Ok(Done::Leased { fence, effects })
                }
                // The effect stays open, and is leased again when this lease is over: the time until then keeps a provider that does
                // not know from being asked in a circle.
                Command::EffectResult { effect, fence, outcome: EffectOutcome::Unknown } => {
                    if mutants::is(Mutant::EffectLost) {
                        let _lost = ctx.outbox.take_for_adapter(*effect, *fence);
                    }
                    Ok(Done::Nothing)
                }
                Command::EffectResult { effect, fence, outcome } => {
                    let Some(taken) = ctx.outbox.take_for_adapter(*effect, *fence) else { break 'run Ok(Done::Nothing) };
                    ctx.changes.answered.push(*effect);
                    match taken.concern {
                        Concern::Order(order) => orders.effect_result(ctx, carts, order, *effect, &taken, outcome),
                        Concern::None | Concern::Arrival(..) => Ok(Done::Nothing),
                    }
                }

                Command::PutSearchSetting { key, setting } => search_settings::put(settings, ctx, key, setting),
                Command::DeleteSearchSetting { kind, key } => search_settings::delete(settings, ctx, *kind, key),

                Command::AddNode { facts } => cluster::add(nodes, ctx, facts),
                Command::TellNode { node, facts } => cluster::tell(nodes, ctx, *node, facts),
                Command::SetNode { node, standing } => cluster::set(nodes, ctx, *node, *standing),

                Command::RunTimers { max } => timers::run(ctx, keys, claims, stock, carts, orders, *max),
            }
        };
        stock.tell_availability(ctx, first_row);
        ctx.number_events(first_event);
        outcome
    }
}
