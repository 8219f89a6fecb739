//! What ends by itself: holds, what was only remembered, abandoned claims, undecided orders, carts left alone.
//!
//! Path: [`Partition::next_timer`] → the shard proposes `RunTimers` then → here, in a fixed order, at most `max` things → `more`.
//! Log time alone decides: a replay ends the same things at the same entries.

use super::{ApplyContext, Done, Outcome, Partition, carts::Carts, claims::Claims, keys::Keys, orders::Orders, stock::Stock};
use wire::Millis;

/// Things one `RunTimers` ends, whatever it asks for.
pub const TIMERS_MAX: usize = 10_000;

/// Orders and carts one `RunTimers` ends. An order's end asks for a few effects a location, and the ids of one command are numbered
/// by 16 bits.
pub const ORDER_TIMERS_MAX: usize = 64;

impl Partition {
    /// When the next thing is due; the shard then proposes `RunTimers`. O(log everything).
    #[must_use]
    pub fn next_timer(&self) -> Option<Millis> {
        next(&self.keys, &self.claims, &self.stock, &self.carts, &self.orders)
    }
}

pub(super) fn run(
    ctx: &mut ApplyContext<'_>,
    keys: &mut Keys,
    claims: &mut Claims,
    stock: &mut Stock,
    carts: &mut Carts,
    orders: &mut Orders,
    max: u32,
) -> Outcome {
    let now = ctx.time;
    let mut left = usize::try_from(max).map_or(TIMERS_MAX, |max| max.clamp(1, TIMERS_MAX));
    left -= stock.expire(ctx, left);
    left -= stock.fill(ctx, left).min(left);
    left -= stock.close_sold(ctx, left);
    left -= stock.end_preorders(ctx, left);
    left -= stock.sweep(now, left);
    left -= keys.sweep(now, left);
    left -= claims.sweep(now, left);
    let mut left = left.min(ORDER_TIMERS_MAX);
    left -= stock.retry_landings(ctx, left);
    left -= orders.run_timers(ctx, carts, left).min(left);
    carts.run_timers(ctx, left);
    let more = next(keys, claims, stock, carts, orders).is_some_and(|due| due <= now);
    Ok(Done::Timers { more })
}

fn next(keys: &Keys, claims: &Claims, stock: &Stock, carts: &Carts, orders: &Orders) -> Option<Millis> {
    [stock.next_due(), keys.next_due(), claims.next_due(), orders.next_timer(), carts.next_timer()].into_iter().flatten().min()
}
