//! What a flow can do: look at the shard, propose commands anywhere, ask other shards, wait.
//!
//! Path: flow → [`Ctx`] → [`State`], borrowed for one call → a [`Signal`](super::task::Signal) to await. Read first: [`Ctx::propose`].

use super::{
    Config, feed,
    peer::{Answer, Ask, Committed, PeerMessage},
    state::State,
    task::{Signal, signal},
    wait::Woken,
};
use crate::{
    record::v1::{Command, Entry},
    seal::{Plain, Sealed},
    shard::{Now, Output},
};
use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use wire::{EventId, Failure, OrderId, PartitionId, ShardId, placement};

/// A flow's hold on the shard. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ctx {
    state: Rc<RefCell<State>>,
}

/// While the lead of a partition changes it is asked so often, with pauses of so many milliseconds: twice as long as an election takes.
const LEADER_ASKS_MAX: u32 = 40;
const LEADER_PAUSE_MS: u64 = 50;

/// An answer to come.
type Asked = Signal<Result<Answer, Failure>>;

impl Ctx {
    pub(crate) fn new(state: Rc<RefCell<State>>) -> Self {
        Self { state }
    }

    /// Looks at the shard. Not to be called within itself.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.borrow())
    }

    /// Changes what is beside the partitions (waits, leases).
    pub(crate) fn with_mut<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.borrow_mut())
    }

    pub(crate) fn now(&self) -> Now {
        self.with(|state| state.now)
    }

    pub(crate) fn config<R>(&self, look: impl FnOnce(&Config) -> R) -> R {
        self.with(|state| look(&state.config))
    }

    /// Seals a personal field under a fresh nonce.
    pub(crate) fn seal<T: Plain>(&self, value: &T) -> Sealed<T> {
        self.with_mut(|state| {
            let nonce = state.random.bytes();
            state.config.keyring.seal(value, nonce)
        })
    }

    /// Logs and applies a command on the partition, whichever shard owns it. One of this shard is proposed here or not at all: a flow goes on with what it finds here,
    /// and what another node committed may not be here yet.
    ///
    /// # Errors
    /// Failures before the log; a refusal is an outcome, in `Committed`.
    pub(crate) async fn propose(&self, partition: PartitionId, entry: Entry) -> Result<Committed, Failure> {
        if self.config(|config| config.owns(partition)) {
            let signal = self.with_mut(|state| state.propose(partition, entry));
            return signal.await.unwrap_or(Err(Failure::Internal));
        }
        self.propose_anywhere(partition, entry).await
    }

    async fn propose_anywhere(&self, partition: PartitionId, entry: Entry) -> Result<Committed, Failure> {
        match self.ask_partition(partition, Ask::Propose(partition, Box::new(entry))).await? {
            Answer::Committed(committed) => Ok(committed),
            other => Err(unexpected(&other)),
        }
    }

    /// Proposes a command of the system's own, whichever node leads the partition.
    pub(crate) async fn command(&self, partition: PartitionId, command: Command) -> Result<Committed, Failure> {
        if self.with(|state| state.may_propose(partition).is_ok()) {
            return self.propose(partition, Entry::of(command)).await;
        }
        self.propose_anywhere(partition, Entry::of(command)).await
    }

    /// Asks the owner of a partition, and while its lead changes again: what was not taken was not done.
    pub(crate) async fn ask_partition(&self, partition: PartitionId, ask: Ask) -> Result<Answer, Failure> {
        if self.with(|state| state.replication.is_none()) {
            return self.send_to(partition, ask).await.unwrap_or(Err(Failure::Internal));
        }
        let asked = self.send_to(partition, ask.clone());
        self.insist(partition, ask, asked).await
    }

    async fn insist(&self, partition: PartitionId, ask: Ask, mut asked: Asked) -> Result<Answer, Failure> {
        for _ in 0..LEADER_ASKS_MAX {
            match asked.await.unwrap_or(Err(Failure::Internal)) {
                Err(Failure::NotLeader { .. }) => self.sleep_until(self.now().mono_us + LEADER_PAUSE_MS * 1_000).await,
                answer => return answer,
            }
            asked = self.send_to(partition, ask.clone());
        }
        // Who asked may have done something else before.
        Err(Failure::Interrupted)
    }

    /// Sends a question to the shard that owns a partition, on this node or the one that leads it.
    fn send_to(&self, partition: PartitionId, ask: Ask) -> Asked {
        let elsewhere = self.with(|state| {
            let own = state.replication.as_ref()?.node;
            state.config.shared.leader(partition).filter(|leader| *leader != own)
        });
        match elsewhere {
            Some(leader) => self.with_mut(|state| {
                let (done, signal) = signal(&state.reactor);
                state.ask_node(leader, partition, ask, done);
                signal
            }),
            None => self.send(self.config(|config| placement::shard_of(partition, config.shards)), ask),
        }
    }

    /// Asks every shard; answers come in their order.
    pub(crate) async fn ask_all(&self, ask: Ask) -> Result<Vec<Answer>, Failure> {
        let shards = self.config(|config| config.shards);
        let asked: Vec<Asked> = (0..shards).map(|shard| self.send(ShardId(shard), ask.clone())).collect();
        join(asked).await
    }

    /// Asks every shard; of those that have not answered at `until_us` there is none. Answers come in the order of shards, and this one's own is always there.
    pub(crate) async fn ask_all_until(&self, until_us: u64, ask: Ask) -> Result<Vec<Option<Answer>>, Failure> {
        let shards = self.config(|config| config.shards);
        let asked: Vec<Asked> = (0..shards).map(|shard| self.send(ShardId(shard), ask.clone())).collect();
        let mut all = EachOf { answers: asked.iter().map(|_| None).collect(), asked };
        if all.look() {
            return all.finish();
        }
        let (wait, alarm) = self.with_mut(|state| {
            let (setter, signal) = signal(&state.reactor);
            let wait = state.waits.add(setter);
            state.waits.at(until_us, wait);
            (wait, signal)
        });
        let found = Within { all, alarm }.await;
        self.with_mut(|state| state.waits.forget_flow(until_us, wait));
        found
    }

    /// Asks several at once; answers come in the order of `asks`.
    pub(crate) async fn ask_each(&self, asks: Vec<(PartitionId, Ask)>) -> Result<Vec<Answer>, Failure> {
        if self.with(|state| state.replication.is_none()) {
            return join(asks.into_iter().map(|(partition, ask)| self.send_to(partition, ask)).collect()).await;
        }
        let sent = |(partition, ask): (PartitionId, Ask)| (partition, ask.clone(), self.send_to(partition, ask));
        let asked: Vec<(PartitionId, Ask, Asked)> = asks.into_iter().map(sent).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for (partition, ask, asked) in asked {
            answers.push(self.insist(partition, ask, asked).await?);
        }
        Ok(answers)
    }

    fn send(&self, to: ShardId, ask: Ask) -> Asked {
        self.with_mut(|state| {
            let (done, signal) = signal(&state.reactor);
            if to == state.config.shard {
                match ask {
                    Ask::Propose(partition, entry) => {
                        let proposed = state.propose(partition, *entry);
                        state.spawn.push(Box::pin(async move {
                            done.set(proposed.await.unwrap_or(Err(Failure::Internal)).map(Answer::Committed));
                        }));
                    }
                    Ask::Feed { from, limit } => {
                        let ctx = state.ctx();
                        state.spawn.push(Box::pin(async move { done.set(feed::read(ctx, from, limit).await) }));
                    }
                    query if state.replication.is_some() && query.looks_at().is_some() => {
                        let answer = state.answer_as_it_is(query);
                        state.spawn.push(Box::pin(async move { done.set(answer.await) }));
                    }
                    query => done.set(state.answer(query)),
                }
                return signal;
            }
            state.next_ask += 1;
            let id = state.next_ask;
            state.asked.insert(id, done);
            state.outputs.push_back(Output::Peer { to, message: PeerMessage::Ask { id, ask } });
            signal
        })
    }

    /// Waits until the order's checkout, action or cancel settles, or `until_us`. The caller looks at the order before, and after.
    pub(crate) async fn order_settles(&self, order: OrderId, until_us: u64) -> Woken {
        self.wait(until_us, |state, wait| state.waits.on_order(order, wait)).await
    }

    /// Waits until each of these effects of this shard is answered.
    pub(crate) async fn answered(&self, partition: PartitionId, effects: &[EventId], until_us: u64) -> Woken {
        for effect in effects {
            let open = self.with(|state| state.partition(partition).is_some_and(|p| p.outbox().open.contains_key(effect)));
            if open && self.wait(until_us, |state, wait| state.waits.on_effect(*effect, wait)).await == Woken::Late {
                return Woken::Late;
            }
        }
        Woken::Happened
    }

    /// Waits until there may be work for an adapter.
    pub(crate) async fn work(&self, until_us: u64) -> Woken {
        self.wait(until_us, |state, wait| state.waits.on_work(wait)).await
    }

    /// Waits.
    pub(crate) async fn sleep_until(&self, until_us: u64) {
        self.wait(until_us, |_, _| ()).await;
    }

    async fn wait(&self, until_us: u64, register: impl FnOnce(&mut State, u64)) -> Woken {
        let signal = self.with_mut(|state| {
            let (setter, signal) = signal(&state.reactor);
            let wait = state.waits.add(setter);
            state.waits.at(until_us, wait);
            register(state, wait);
            signal
        });
        signal.await.unwrap_or(Woken::Late)
    }
}

/// Answers to one question, as they come.
struct EachOf {
    asked: Vec<Asked>,
    answers: Vec<Option<Result<Answer, Failure>>>,
}

impl EachOf {
    /// Takes what there is; whether that is all. The task that looks is woken by the next answer.
    fn look(&mut self) -> bool {
        for (asked, answer) in self.asked.iter_mut().zip(&mut self.answers).filter(|(_, answer)| answer.is_none()) {
            // Signals need no waker: they know which task runs.
            if let Poll::Ready(found) = Pin::new(asked).poll(&mut Context::from_waker(Waker::noop())) {
                *answer = Some(found.unwrap_or(Err(Failure::Internal)));
            }
        }
        self.answers.iter().all(Option::is_some)
    }

    fn finish(&mut self) -> Result<Vec<Option<Answer>>, Failure> {
        std::mem::take(&mut self.answers).into_iter().map(Option::transpose).collect()
    }
}

/// All answers, or those that are there when the alarm rings.
struct Within {
    all: EachOf,
    alarm: Signal<Woken>,
}

impl Future for Within {
    type Output = Result<Vec<Option<Answer>>, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.all.look() || Pin::new(&mut self.alarm).poll(context).is_ready() {
            return Poll::Ready(self.all.finish());
        }
        Poll::Pending
    }
}

async fn join(asked: Vec<Asked>) -> Result<Vec<Answer>, Failure> {
    let mut answers = Vec::with_capacity(asked.len());
    for signal in asked {
        answers.push(signal.await.unwrap_or(Err(Failure::Internal))?);
    }
    Ok(answers)
}

/// A shard answered another kind than it was asked for: a fault of ours, told once and not passed on.
pub(crate) fn unexpected(answer: &Answer) -> Failure {
    tracing::error!(?answer, "a shard answered something else than it was asked");
    Failure::Internal
}
