//! One order of everything that happened: by the positions told, and without trusting them.
//!
//! By position: an answer given before another request was sent stands before it in the log of their partition, and no two answers stand at one place.
//! Without: the SKUs that are only ever reserved and sold are told how many remained. So each SKU's reservations have one order, and every step of it
//! must be the units taken; reservations of several SKUs, shortages and real time tie these orders together, and a cycle in them means that there is no
//! one order (Adya 1999, as Elle looks for it).

use super::{Violation, answers::Story, must};
use std::collections::BTreeMap;
use wire::{PartitionId, SkuId};

pub(in crate::sim) fn check(story: &Story) -> Result<(), Violation> {
    by_position(story)?;
    by_remainders(story)
}

/// Positions against real time, per partition: O(n log n).
fn by_position(story: &Story) -> Result<(), Violation> {
    let mut by_partition: BTreeMap<PartitionId, Vec<(u64, u64, u64)>> = BTreeMap::new();
    for exchange in &story.exchanges {
        for position in &exchange.positions {
            by_partition.entry(position.partition).or_default().push((position.seq.0, exchange.sent_us, exchange.answered_us));
        }
    }
    for (partition, mut of) in by_partition {
        // An answer may arrive twice.
        of.sort_unstable();
        of.dedup_by_key(|(seq, sent_us, _)| (*seq, *sent_us));
        for pair in of.windows(2) {
            must(pair[0].0 != pair[1].0, || format!("two answers stand at {} of partition {}", pair[0].0, partition.0))?;
        }
        let mut answered: Vec<(u64, u64)> = of.iter().map(|(seq, _, answered_us)| (*answered_us, *seq)).collect();
        answered.sort_unstable();
        of.sort_unstable_by_key(|(_, sent_us, _)| *sent_us);
        let (mut next, mut highest) = (0, 0);
        for (seq, sent_us, _) in of {
            while next < answered.len() && answered[next].0 < sent_us {
                highest = highest.max(answered[next].1);
                next += 1;
            }
            must(highest < seq, || format!("{highest} of partition {} was answered before {seq} was asked for", partition.0))?;
        }
    }
    Ok(())
}

/// A SKU at a location.
type Row = (String, SkuId);

/// Someone who was told what remained: a reservation taken, or one that was short.
struct Teller {
    from_us: u64,
    until_us: u64,
}

fn by_remainders(story: &Story) -> Result<(), Violation> {
    let mut tellers = Vec::new();
    // Of each SKU at each place: who took how many, leaving how many; and who found how many.
    let mut taken: BTreeMap<Row, Vec<(u32, u32, usize)>> = BTreeMap::new();
    let mut found: BTreeMap<Row, Vec<(u32, usize)>> = BTreeMap::new();
    for hold in story.holds.values().filter(|hold| hold.is_kept) {
        if let Some(told) = &hold.told {
            let teller = tellers.len();
            tellers.push(Teller { from_us: hold.first_us, until_us: told.answered_us });
            for ((line, units), remaining) in hold.lines.iter().zip(&told.taken).zip(&told.remaining) {
                let at = (hold.location.clone(), line.sku);
                if *units > 0 {
                    taken.entry(at).or_default().push((*remaining, *units, teller));
                } else {
                    found.entry(at).or_default().push((*remaining, teller));
                }
            }
        } else if let Some((short, from_us, until_us)) = &hold.short {
            let teller = tellers.len();
            tellers.push(Teller { from_us: *from_us, until_us: *until_us });
            for line in short {
                found.entry((hold.location.clone(), line.sku)).or_default().push((line.available, teller));
            }
        }
    }
    // Behind the tellers: real time, as a chain of moments.
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (at, teller) in tellers.iter().enumerate() {
        // At one moment what is asked comes before what is answered: neither is before the other then.
        moments.push((teller.from_us, false, at));
        moments.push((teller.until_us, true, at));
    }
    moments.sort_unstable();
    let count = tellers.len();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); count + moments.len()];
    for (place, (_, is_answer, teller)) in moments.iter().enumerate() {
        let node = count + place;
        if place + 1 < moments.len() {
            edges[node].push(node + 1);
        }
        if *is_answer {
            edges[*teller].push(node);
        } else {
            edges[node].push(*teller);
        }
    }
    for ((location, sku), of) in &mut taken {
        let received = story.received.get(&(location.clone(), *sku)).copied().unwrap_or(0);
        of.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = received;
        for (remaining, units, _) in of.iter() {
            let goes_on = left.checked_sub(u64::from(*units)) == Some(u64::from(*remaining));
            must(goes_on, || format!("of {sku} at {location} {left} units were left, {units} were taken, and {remaining} told to remain"))?;
            left = u64::from(*remaining);
        }
        for pair in of.windows(2) {
            edges[pair[0].2].push(pair[1].2);
        }
        for (available, teller) in found.remove(&(location.clone(), *sku)).unwrap_or_default() {
            // It stands between the one who left so many and the next.
            let before = of.iter().position(|(remaining, _, _)| *remaining == available);
            let is_first = u64::from(available) == received;
            must(before.is_some() || is_first, || format!("{available} units of {sku} at {location} were found, and never left"))?;
            let after = before.map_or(0, |before| before + 1);
            if let Some(before) = before {
                edges[of[before].2].push(teller);
            }
            if let Some((_, _, next)) = of.get(after).filter(|(_, _, next)| *next != teller) {
                edges[teller].push(*next);
            }
        }
    }
    acyclic(&edges).map_err(|nodes| Violation::new(format!("no one order explains what {nodes} reservations were told")))
}

/// Kahn's algorithm; how many nodes stand in circles or behind them.
fn acyclic(edges: &[Vec<usize>]) -> Result<(), usize> {
    let mut before = vec![0_u32; edges.len()];
    edges.iter().flatten().for_each(|to| before[*to] += 1);
    let mut free: Vec<usize> = (0..edges.len()).filter(|node| before[*node] == 0).collect();
    let mut left = edges.len();
    while let Some(node) = free.pop() {
        left -= 1;
        for to in &edges[node] {
            before[*to] -= 1;
            if before[*to] == 0 {
                free.push(*to);
            }
        }
    }
    if left == 0 { Ok(()) } else { Err(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found() {
        assert_eq!(acyclic(&[vec![1], vec![2], vec![]]), Ok(()));
        assert_eq!(acyclic(&[vec![1], vec![2], vec![1], vec![]]), Err(2));
    }
}
