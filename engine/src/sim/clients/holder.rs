//! Reservations of one who keeps orders elsewhere, from the taking to the end, with every mistake a caller can make.
//!
//! Of two kinds of SKUs: those that are only ever reserved and sold ([`Goods::Kept`]), whose answers give one order without trusting positions; and those
//! whose units come back, expire and are received again.

use super::{Ask, Errand, Said, Scene, Step, staff_asks};
use crate::sim::{
    Settings,
    checks::{
        Violation,
        answers::{HoldStory, Told},
        must,
    },
    clock::true_ms,
};
use std::collections::VecDeque;
use wire::{Body, Failure, HoldId, Op, OrderId, RawId, Refusal, Reservation, ReserveLine, SkuId, limits};

/// One thing to do with the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Reserve,
    /// The same once more.
    Again,
    /// Under its id, another body.
    Other,
    Commit,
    CommitPart,
    Extend,
    Release,
    /// The reservation is on its way for long; meanwhile it is called off.
    Overtake,
    Pause(u64),
}

/// An errand about one hold.
pub(super) struct Holder {
    deeds: VecDeque<Deed>,
    /// What was asked last.
    doing: Option<Deed>,
    hold: u128,
    reservation: Reservation,
    part: Vec<ReserveLine>,
}

impl Holder {
    pub(super) fn draw(scene: Scene<'_>, settings: &Settings) -> Self {
        let Scene { story, random, time_us } = scene;
        let place = random.place(story.locations.len());
        // Before their one delivery there is nothing to tell.
        let has_come = story.received.contains_key(&(story.locations[place].clone(), story.kept[place][0]));
        let kept = random.chance(350) && has_come && !story.is_fresh;
        let skus = if kept { &story.kept[place] } else { &story.churned[place] };
        let lines = random.between(1, 4).min(skus.len() as u64) as usize;
        let first = random.place(skus.len());
        // A basket may name its SKUs in any order.
        let mut lines: Vec<ReserveLine> = (0..lines)
            .map(|nth| ReserveLine {
                sku: skus[(first + nth) % skus.len()],
                quantity: if random.chance(50) { 40 } else { random.between32(1, 3) },
            })
            .collect();
        if random.chance(500) {
            lines.reverse();
        }
        let pause = |random: &mut super::super::random::Random, most: u64| Deed::Pause(random.between(100, most));
        let deeds: Vec<Deed> = if kept {
            let mut deeds = vec![Deed::Reserve, pause(random, 30_000)];
            if random.chance(150) {
                deeds.push(Deed::Again);
            }
            deeds.push(Deed::Commit);
            if random.chance(100) {
                deeds.push(Deed::Commit);
            }
            deeds
        } else {
            match random.below(10) {
                0 | 1 => vec![Deed::Reserve, Deed::Commit],
                2 => vec![Deed::Reserve, pause(random, 50_000), Deed::CommitPart],
                3 => vec![Deed::Reserve, pause(random, 50_000), Deed::Release],
                4 => vec![Deed::Reserve, Deed::Extend, pause(random, 50_000), Deed::Commit],
                5 => vec![Deed::Reserve, Deed::Again],
                6 => vec![Deed::Reserve, Deed::Other, Deed::Commit],
                7 => vec![Deed::Overtake, Deed::Release, pause(random, 400_000), Deed::Again],
                8 => vec![Deed::Reserve, Deed::Release, Deed::Again],
                _ => vec![Deed::Reserve, Deed::Pause(settings.reserve_ttl_ms * 1_100), Deed::Commit],
            }
        };
        let ttl_ms = if kept { limits::RESERVE_TTL_MS_MAX } else { settings.reserve_ttl_ms as u32 };
        // After a wall clock that was far ahead, the log's time is: who comes later has a clock that is right by then.
        let made_ms = if story.is_fresh { story.log_ms } else { true_ms(time_us) };
        let hold = (u128::from(made_ms) << 80) | (random.u128() >> 48);
        let reservation = Reservation {
            hold: HoldId(RawId(hold)),
            owner: OrderId(RawId(random.u128())),
            location: story.locations[place].clone(),
            lines,
            ttl_ms,
            partial: random.chance(150),
        };
        let deeds = if story.is_fresh { vec![Deed::Reserve, Deed::Release] } else { deeds };
        let told = HoldStory::new(&reservation, kept);
        story.holds.insert(hold, told);
        Self { deeds: deeds.into(), doing: None, hold, reservation, part: Vec::new() }
    }

    fn op(&mut self, deed: Deed) -> Op {
        let (hold, location) = (self.reservation.hold, self.reservation.location.clone());
        match deed {
            Deed::Reserve | Deed::Again | Deed::Overtake | Deed::Pause(_) => Op::Reserve(self.reservation.clone()),
            Deed::Other => {
                let mut other = self.reservation.clone();
                other.lines[0].quantity += 1;
                Op::Reserve(other)
            }
            Deed::Commit => Op::CommitReserved { hold, location },
            Deed::CommitPart => Op::CommitReservedPart { hold, location, lines: self.part.clone() },
            Deed::Extend => Op::ExtendReserved { hold, location, ttl_ms: self.reservation.ttl_ms },
            Deed::Release => Op::ReleaseReserved { hold, location },
        }
    }
}

impl Errand for Holder {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        let Some(deed) = self.deeds.pop_front() else { return Step::Home };
        match deed {
            Deed::Pause(us) => return Step::Pause(us),
            Deed::Overtake => {
                let request = staff_asks(self.op(deed), None);
                return Step::Throw { request, hold: self.hold, delay_us: scene.random.between(500, 300_000) };
            }
            Deed::CommitPart => {
                let story = &scene.story.holds[&self.hold];
                let taken = story.told.as_ref().map(|told| told.taken.clone()).unwrap_or_default();
                let lines = self.reservation.lines.iter().zip(taken).filter(|(_, taken)| *taken > 0);
                let part = lines.map(|(line, taken)| ReserveLine { sku: line.sku, quantity: scene.random.between32(1, taken) });
                self.part = part.collect();
                if self.part.is_empty() {
                    return Step::Home;
                }
            }
            Deed::Reserve | Deed::Again | Deed::Other | Deed::Commit | Deed::Extend | Deed::Release => {}
        }
        self.doing = Some(deed);
        let hold = matches!(deed, Deed::Reserve | Deed::Again).then_some(self.hold);
        if deed == Deed::Reserve {
            scene.story.hold(self.hold).first_us = scene.time_us;
        }
        Step::Ask(Ask { request: staff_asks(self.op(deed), None), hold })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        let Some(deed) = self.doing.take() else { return Ok(()) };
        let response = said.response;
        scene.story.count(match (&response.result, deed) {
            (Ok(_), Deed::Reserve) => "reserved",
            (Err(Failure::Refused(Refusal::InsufficientStock(_))), Deed::Reserve) => "short",
            (Err(_), Deed::Reserve) => "not reserved",
            (Ok(_), Deed::Again | Deed::Overtake | Deed::Pause(_)) => "reserved again",
            (Ok(_), Deed::Commit) => "committed",
            (Ok(_), Deed::CommitPart) => "committed in part",
            (Ok(_), Deed::Extend) => "extended",
            (Ok(_), Deed::Release) => "released",
            (Ok(_), Deed::Other) => "another body taken",
            (Err(_), _) => "hold refused",
        });
        let time_us = scene.time_us;
        let story = scene.story.hold(self.hold);
        let odd = || format!("{deed:?} of {:?} is answered {:?}", self.reservation, response.result);
        match deed {
            Deed::Reserve | Deed::Again | Deed::Overtake | Deed::Pause(_) => {
                match &response.result {
                    Ok(_) => story.taken(response, time_us)?,
                    Err(Failure::Refused(Refusal::InsufficientStock(short))) => {
                        must(deed == Deed::Reserve && story.told.is_none(), odd)?;
                        story.short = Some((short.clone(), said.first_us, time_us));
                        self.deeds.clear();
                    }
                    // It was called off, or its time was over.
                    Err(Failure::Refused(Refusal::NotFound)) => {
                        must(deed == Deed::Again || deed == Deed::Overtake, odd)?;
                    }
                    Err(Failure::Refused(Refusal::TooOld { .. } | Refusal::Invalid(_))) => {
                        must(story.told.is_none() || deed != Deed::Reserve, odd)?;
                        self.deeds.clear();
                    }
                    Err(_) => return Err(Violation::new(odd())),
                }
                Ok(())
            }
            Deed::Other => match &response.result {
                Err(Failure::Refused(Refusal::IdempotencyKeyReused)) => Ok(()),
                // Its time was over meanwhile.
                Err(Failure::Refused(Refusal::NotFound | Refusal::TooOld { .. })) if !story.is_kept => Ok(()),
                _ => Err(Violation::new(format!("another body under a hold's id: {}", odd()))),
            },
            Deed::Commit | Deed::CommitPart => match &response.result {
                Ok(Body::Done) => {
                    let sold = wanted(story, &self.part, deed);
                    must(story.sold.as_ref().is_none_or(|before| *before == sold), odd)?;
                    must(story.released.is_none(), odd)?;
                    story.sold = Some(sold);
                    Ok(())
                }
                Err(Failure::Refused(Refusal::NotFound)) if !story.is_kept && story.sold.is_none() => Ok(()),
                // Of one that is sold the answer is remembered for minutes, and the clock went on by more since the try before this one.
                Err(Failure::Refused(Refusal::TooOld { .. })) => {
                    if story.sold.is_none() {
                        story.unsure = Some(wanted(story, &self.part, deed));
                    }
                    Ok(())
                }
                _ => Err(Violation::new(odd())),
            },
            Deed::Extend => match &response.result {
                Ok(Body::Extended { .. }) | Err(Failure::Refused(Refusal::NotFound)) => Ok(()),
                _ => Err(Violation::new(odd())),
            },
            Deed::Release => match (&response.result, &response.positions[..]) {
                (Ok(Body::Done), [position]) => {
                    story.released.get_or_insert(*position);
                    must(story.sold.is_none(), odd)
                }
                // Of a time to come, by a log whose clock is behind.
                (Err(Failure::Refused(Refusal::Invalid(_))), _) => {
                    self.deeds.clear();
                    must(story.told.is_none(), odd)
                }
                _ => Err(Violation::new(odd())),
            },
        }
    }
}

/// What a commit wants to sell.
fn wanted(story: &HoldStory, part: &[ReserveLine], deed: Deed) -> Vec<(SkuId, u32)> {
    if deed == Deed::CommitPart { part.iter().map(|line| (line.sku, line.quantity)).collect() } else { story.lines_taken() }
}

impl HoldStory {
    /// It was taken, or had been: each time with the same answer.
    pub(in crate::sim) fn taken(&mut self, response: &wire::Response, time_us: u64) -> Result<(), Violation> {
        let Ok(Body::Reserved(reserved)) = &response.result else {
            return Err(Violation::new(format!("a reservation is answered {:?}", response.result)));
        };
        let [position] = response.positions[..] else { return Err(Violation::new("a reservation has no position".to_owned())) };
        // A repeat is told what the first was told, also when the hold is over since.
        if let Some(released) = self.released.filter(|_| !response.replayed) {
            must(position.seq < released.seq, || format!("a hold is taken at {position}, after its release at {released}"))?;
        }
        must(reserved.lines.len() == self.lines.len(), || {
            format!("{} lines are reserved of {} asked for", reserved.lines.len(), self.lines.len())
        })?;
        for (asked, got) in self.lines.iter().zip(&reserved.lines) {
            let right = got.taken == asked.quantity || self.partial && got.taken < asked.quantity;
            must(right, || format!("{} units are taken of {} asked for", got.taken, asked.quantity))?;
        }
        let told = Told {
            taken: reserved.lines.iter().map(|line| line.taken).collect(),
            remaining: reserved.lines.iter().map(|line| line.remaining).collect(),
            answered_us: time_us,
        };
        match &self.told {
            None => self.told = Some(told),
            Some(before) => {
                let same = before.taken == told.taken && before.remaining == told.remaining;
                must(same, || format!("a reservation is answered {told:?}, before {before:?}"))?;
            }
        }
        Ok(())
    }
}
