//! Calls that need nothing gathered: they go from the request straight into the log, without a flow.
//!
//! Path: [`State::express`] checks the request and queues its command with the call's token → `pipeline` logs and applies it → [`answer`] → the reply.
//! A flow costs a boxed future, two signals and a deadline for each call; stock is reserved more often than anything else is written, so here a
//! call is an entry in the pipeline's queue and nothing more.
//! Bounds: those of the pipeline. What waits when the disk is full is refused; what is in the open batch then is answered late (`Pipeline::late`).

use super::{peer::Committed, pipeline::Done as To, state::State};
use crate::{
    flow::validate,
    partition::{Applied, Done},
    record::v1::{Command, Entry, HoldLine},
    shard::{CallToken, Output},
};
use wire::{
    Body, Failure, Op, Position, Principal, Refusal, Request, Reservation, ReserveLine, Reserved, Response, Role, limits, placement,
};

/// Is it one of these?
pub(super) fn takes(op: &Op) -> bool {
    matches!(
        op,
        Op::Reserve(_)
            | Op::CommitReserved { .. }
            | Op::CommitReservedPart { .. }
            | Op::ExtendReserved { .. }
            | Op::ReleaseReserved { .. }
            | Op::ReceiveStock { .. }
    )
}

impl State {
    /// Queues the command of a request that [`takes`] said yes to, or refuses it.
    pub(super) fn express(&mut self, token: CallToken, request: Request) {
        let deadline_us = self.in_ms(u64::from(request.timeout_ms));
        let trace = request.trace;
        let queued = self.reached(&request.at_least).and_then(|()| {
            allowed(request.principal)?;
            let (location, command) = command(request.op)?;
            let partition = placement::partition_of(placement::Space::Location, location.as_bytes(), self.config.partitions);
            self.may_propose(partition)?;
            // The command's own id makes it happen once; a request's key would say the same again.
            let entry = Entry { idempotency: None, if_match: None, trace, command: command(location) };
            self.pipeline.queue(partition, entry, To::Call { token, deadline_us });
            Ok(())
        });
        if let Err(failure) = queued {
            self.outputs.push_back(Output::Reply { token, response: failed(failure) });
        }
    }
}

fn allowed(principal: Principal) -> Result<(), Failure> {
    match principal {
        Principal::System | Principal::Staff { role: Role::Warehouse | Role::Admin } => Ok(()),
        Principal::Staff { role: Role::Support | Role::Merchandiser } | Principal::Guest { .. } | Principal::Anonymous => {
            Err(Failure::Refused(Refusal::Forbidden))
        }
    }
}

/// The location, and the command once it has it back.
fn command(op: Op) -> Result<(String, impl FnOnce(String) -> Command), Failure> {
    enum What {
        Reserve(Reservation),
        Commit(wire::HoldId),
        CommitPart(wire::HoldId, Vec<ReserveLine>),
        Extend(wire::HoldId, u32),
        Release(wire::HoldId),
        Receive(u128, Vec<ReserveLine>),
    }
    let (location, what) = match op {
        Op::Reserve(mut reservation) => {
            validate::reservation(&reservation).map_err(Failure::Refused)?;
            (std::mem::take(&mut reservation.location), What::Reserve(reservation))
        }
        Op::CommitReserved { hold, location } => (location, What::Commit(hold)),
        Op::CommitReservedPart { hold, location, lines } => {
            validate::lines(&lines, limits::LINE_QUANTITY_MAX).map_err(Failure::Refused)?;
            (location, What::CommitPart(hold, lines))
        }
        Op::ExtendReserved { hold, location, ttl_ms } => {
            validate::ttl(ttl_ms).map_err(Failure::Refused)?;
            (location, What::Extend(hold, ttl_ms))
        }
        Op::ReleaseReserved { hold, location } => (location, What::Release(hold)),
        Op::ReceiveStock { id, location, lines } => {
            validate::delivery(&lines).map_err(Failure::Refused)?;
            (location, What::Receive(id, lines))
        }
        // Only what `takes` names comes here.
        _ => return Err(Failure::Internal),
    };
    validate::location(&location).map_err(Failure::Refused)?;
    Ok((location, move |location| match what {
        What::Reserve(Reservation { hold, owner, location: _, lines: asked, ttl_ms, partial }) => {
            Command::Reserve { hold, owner, location, lines: lines(asked), ttl_ms, partial }
        }
        What::Commit(hold) => Command::CommitReserved { hold },
        What::CommitPart(hold, asked) => Command::CommitReservedPart { hold, location, lines: lines(asked) },
        What::Extend(hold, ttl_ms) => Command::ExtendReserved { hold, ttl_ms },
        What::Release(hold) => Command::ReleaseReserved { hold },
        What::Receive(id, asked) => Command::ReceiveStock { id, location, lines: lines(asked) },
    }))
}

/// In place: both are a SKU and a number.
fn lines(asked: Vec<ReserveLine>) -> Vec<HoldLine> {
    asked.into_iter().map(|ReserveLine { sku, quantity }| HoldLine { sku, quantity }).collect()
}

/// The answer to an express call, once its command is applied.
pub(super) fn answer(committed: Committed) -> Response {
    let Committed { applied, position, effects: _ } = committed;
    let (replayed, result) = match applied.outcome {
        Ok(Done::Reserved { expires_at, lines, replayed }) => (replayed, Ok(Body::Reserved(Reserved { expires_at, lines }))),
        Ok(Done::Backordered(taken)) => (taken.replayed, Ok(Body::Backordered { reserved: taken.reserved, owed: taken.owed })),
        Ok(Done::Extended { expires_at }) => (false, Ok(Body::Extended { expires_at })),
        Ok(Done::Goods(goods)) => (goods.replayed, Ok(Body::Done)),
        Ok(_) => (false, Ok(Body::Done)),
        Err(refusal) => (false, Err(Failure::Refused(refusal))),
    };
    Response { positions: vec![position], replayed, result }
}

/// The same from what a replay made of the command.
pub(crate) fn answer_of(applied: Applied, position: Position) -> Response {
    answer(Committed { applied, position, effects: Vec::new() })
}

/// An answer without a command.
pub(super) fn failed(failure: Failure) -> Response {
    Response { positions: Vec::new(), replayed: false, result: Err(failure) }
}
