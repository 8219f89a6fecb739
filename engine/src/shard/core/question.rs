//! Questions between nodes: what a flow asks of a partition that another node leads.
//!
//! Path: a flow → [`State::ask_node`] → [`Body::Ask`] with the question's bytes → the leader's shard proposes or looks → [`Body::Answer`] → the flow goes on.
//! Only what names a partition goes to another node; what every shard is asked (a search, for instance) this node answers from its own replicas.
//! Bounds: as many as flows make; one that is not answered within [`ANSWER_MS_MAX`] is answered here: nobody knows what came of it.

use super::{
    peer::{Answer, Ask, Committed, SkuCard},
    state::State,
    task::Setter,
};
use crate::{
    partition::{Applied, Outcome},
    record,
    replication::{
        NodeId,
        message::{Body, GroupMessage},
    },
};
use bytes::Bytes;
use rkyv::{Archive, Deserialize, Serialize, rancor};
use wire::{EventId, Failure, PartitionId, Position, ProductId, ProductRef, Seq, SkuId};

/// An answer of another node is waited for so long.
const ANSWER_MS_MAX: u64 = 2_000;

/// As it is sent.
#[derive(Archive, Serialize, Deserialize)]
enum Question {
    /// An entry as the log has it.
    Propose(Vec<u8>),
    ResolveSku(String),
    ResolveProduct(ProductRef),
    Cards(Vec<SkuId>),
}

#[derive(Archive, Serialize, Deserialize)]
enum Reply {
    Committed { seq: Seq, outcome: Outcome, replayed: bool, position: Position, effects: Vec<EventId> },
    Sku(Option<SkuId>),
    Product(Option<ProductId>),
    Cards(Vec<Option<SkuCard>>),
}

/// An answer, or why there is none.
type Replied = Result<Reply, Failure>;

fn question(ask: Ask) -> Option<Question> {
    Some(match ask {
        Ask::Propose(_, entry) => {
            let mut bytes = Vec::new();
            record::encode(&entry, &mut bytes).ok()?;
            Question::Propose(bytes)
        }
        Ask::ResolveSku(_, key) => Question::ResolveSku(key),
        Ask::ResolveProduct(_, reference) => Question::ResolveProduct((*reference).clone()),
        Ask::Cards(_, skus) => Question::Cards(skus),
        Ask::Stock(_)
        | Ask::Inventory(_)
        | Ask::Supply(_)
        | Ask::SearchFields(_)
        | Ask::Statistics(_)
        | Ask::Search { .. }
        | Ask::Frequencies(_)
        | Ask::Similar(_)
        | Ask::Suggest(..)
        | Ask::SearchQueries { .. }
        | Ask::CategoryCounts
        | Ask::Replicas
        | Ask::Orders { .. }
        | Ask::Feed { .. } => return None,
    })
}

fn asked(partition: PartitionId, question: Question) -> Option<Ask> {
    Some(match question {
        Question::Propose(bytes) => Ask::Propose(partition, Box::new(record::decode(&bytes).ok()?)),
        Question::ResolveSku(key) => Ask::ResolveSku(partition, key),
        Question::ResolveProduct(reference) => Ask::ResolveProduct(partition, reference.into()),
        Question::Cards(skus) => Ask::Cards(partition, skus),
    })
}

fn reply(answer: Answer) -> Replied {
    Ok(match answer {
        Answer::Committed(Committed { applied: Applied { seq, outcome, replayed }, position, effects }) => {
            Reply::Committed { seq, outcome, replayed, position, effects }
        }
        Answer::Sku(sku) => Reply::Sku(sku),
        Answer::Product(product) => Reply::Product(product),
        Answer::Cards(cards) => Reply::Cards(cards),
        // No question of another node has them.
        Answer::Stock(_)
        | Answer::Inventory(_)
        | Answer::Supply(_)
        | Answer::SearchFields(_)
        | Answer::Statistics(_)
        | Answer::Search(..)
        | Answer::Frequencies(_)
        | Answer::Similar(..)
        | Answer::Suggest(..)
        | Answer::SearchQueries(_)
        | Answer::CategoryCounts(_)
        | Answer::Replicas(_)
        | Answer::Orders(_)
        | Answer::Feed(_) => return Err(Failure::Internal),
    })
}

fn answer(replied: Replied) -> Result<Answer, Failure> {
    Ok(match replied? {
        Reply::Committed { seq, outcome, replayed, position, effects } => {
            Answer::Committed(Committed { applied: Applied { seq, outcome, replayed }, position, effects })
        }
        Reply::Sku(sku) => Answer::Sku(sku),
        Reply::Product(product) => Answer::Product(product),
        Reply::Cards(cards) => Answer::Cards(cards),
    })
}

impl State {
    /// Asks the node that leads a partition.
    pub(super) fn ask_node(&mut self, to: NodeId, partition: PartitionId, ask: Ask, done: Setter<Result<Answer, Failure>>) {
        let bytes = question(ask).and_then(|question| rkyv::to_bytes::<rancor::Error>(&question).ok());
        let Some(bytes) = bytes else { return done.set(Err(Failure::Internal)) };
        self.next_ask += 1;
        let id = self.next_ask;
        self.asked.insert(id, done);
        let until_us = self.in_ms(ANSWER_MS_MAX);
        let shard = self.config.shard.0;
        if let Some(replication) = &mut self.replication {
            replication.asked.push_back((until_us, id));
        }
        let body = Body::Ask { id, shard, question: Bytes::from(bytes.into_vec()) };
        self.say(to, GroupMessage { group: partition.0, body });
    }

    /// Another node asks about a partition of this shard.
    pub(super) fn node_asks(&mut self, from: NodeId, incarnation: u64, partition: PartitionId, id: u64, shard: u16, question: &[u8]) {
        let ask = rkyv::from_bytes::<Question, rancor::Error>(question).ok().and_then(|question| asked(partition, question));
        let answers = move |state: &mut Self, replied: Replied| {
            let bytes = rkyv::to_bytes::<rancor::Error>(&replied).map_or_else(|_| Bytes::new(), |bytes| bytes.into_vec().into());
            let body = Body::Answer { incarnation, shard, id, answer: bytes };
            state.say(from, GroupMessage { group: partition.0, body });
        };
        match ask {
            // Of another version, which asks what this one does not know.
            None => answers(self, Err(Failure::Internal)),
            Some(Ask::Propose(partition, entry)) => {
                let proposed = self.propose(partition, *entry);
                let ctx = self.ctx();
                self.spawn.push(Box::pin(async move {
                    let answer = proposed.await.unwrap_or(Err(Failure::Internal)).map(Answer::Committed);
                    ctx.with_mut(|state| answers(state, answer.and_then(reply)));
                }));
            }
            Some(query) => {
                let answer = self.answer_as_it_is(query);
                let ctx = self.ctx();
                self.spawn.push(Box::pin(async move {
                    let answer = answer.await;
                    ctx.with_mut(|state| answers(state, answer.and_then(reply)));
                }));
            }
        }
    }

    /// Another node answers what was asked by this start.
    pub(super) fn node_answers(&mut self, id: u64, bytes: &[u8]) {
        let Some(done) = self.asked.remove(&id) else { return };
        let replied = rkyv::from_bytes::<Replied, rancor::Error>(bytes).unwrap_or(Err(Failure::Internal));
        done.set(answer(replied));
    }

    /// Gives up waiting for answers of other nodes that are late.
    pub(super) fn late_answers(&mut self) {
        while let Some(replication) = &mut self.replication
            && let Some((_, id)) = replication.asked.pop_front_if(|(until_us, _)| *until_us <= self.now.mono_us)
        {
            if let Some(done) = self.asked.remove(&id) {
                done.set(Err(Failure::Interrupted));
            }
        }
    }
}
