//! What other nodes say to a shard: the receiving end of [`NodeLink`](super::NodeLink).
//!
//! Path: a node stream of an engine's connection → its frames, all of one lane → [`Service::node`]. Nothing goes back.
//! Bounds: one stream a lane; the length of a frame by its lane; QUIC's windows, which hold the sender back while a body is not taken.

use super::{
    Arrived, CloseCode, Frames, Part,
    server::{End, Link, REQUESTS_A_TURN_MAX, end_of},
    service::Service,
};
use crate::frame::{Frame, Lane};
use futures_lite::future;
use quinn::RecvStream;
use std::rc::Rc;

/// Accepts node streams until the connection ends. Whoever is no engine has none: QUIC's limit for it is 0.
pub(super) async fn accept<S: Service>(link: &Rc<Link>, service: Rc<S>) -> End {
    loop {
        match link.connection.accept_uni().await {
            Ok(_) if link.identity.part() != Part::Engine => {
                return (CloseCode::Identity, format!("{} is no node, and says something as one", link.identity));
            }
            Ok(hear) => (link.state.spawn)(Box::pin(hear_all(Rc::clone(link), hear, Rc::clone(&service)))),
            Err(error) => return (CloseCode::Done, error.to_string()),
        }
    }
}

async fn hear_all<S: Service>(link: Rc<Link>, hear: RecvStream, service: Rc<S>) {
    let mut frames = Frames::of_node(hear);
    let (mut mine, mut turn) = (None, 0);
    let (code, reason) = loop {
        let (lane, body) = match frames.next().await {
            Ok(Some(Arrived { frame: Ok(Frame::Node { lane, body }), .. })) => (lane, body),
            Ok(Some(Arrived { header, .. })) => break (CloseCode::Protocol, format!("{:?} on a node stream", header.kind)),
            Ok(None) => break (CloseCode::Done, String::new()),
            Err(fault) => break end_of(fault),
        };
        if mine.is_none() {
            if link.lanes.get()[index(lane)] {
                break (CloseCode::Protocol, format!("a second stream of the {lane:?} lane"));
            }
            take(&link, lane, true);
            mine = Some(lane);
        }
        if mine != Some(lane) {
            break (CloseCode::Protocol, format!("{lane:?} on a stream of the other lane"));
        }
        service.node(&link.identity, body);
        turn += 1;
        if turn % REQUESTS_A_TURN_MAX == 0 {
            future::yield_now().await;
        }
    };
    if let Some(lane) = mine {
        take(&link, lane, false);
    }
    if code != CloseCode::Done {
        tracing::warn!(identity = %link.identity, reason, "engine link: closed");
        code.close(&link.connection, &reason);
    }
}

const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Urgent => 0,
        Lane::Bulk => 1,
    }
}

fn take(link: &Link, lane: Lane, taken: bool) {
    let mut lanes = link.lanes.get();
    lanes[index(lane)] = taken;
    link.lanes.set(lanes);
}
