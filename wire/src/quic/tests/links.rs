//! The link from node to node over a real network: order, what goes first, peers that go and come back, and who is let in.

use super::{
    nodes::{Listener, on_one_thread},
    relay::Relay,
    *,
};
use crate::frame::{Lane, NODE_BYTES_MAX, NODE_URGENT_BYTES_MAX};
use crate::quic::client::BACKOFF_MAX;
use node_link::{NODE_CONNECT_MAX, NODE_QUEUE_MAX, NodeCounts, NodePeer};
use tokio::{task::spawn_local, time::Instant};

fn named(ca: &DevCa, part: Part, name: &str) -> Credentials {
    ca.issue(&Identity::new(part, name).expect("a name"), now()).expect("randomness")
}

/// Listens as node `two`.
fn two(ca: &DevCa) -> Listener {
    Listener::start(server_config(ca.certificate_pem(), &named(ca, Part::Engine, "two")).expect("PEM"))
}

/// A link to `two` at an address, from whoever has these credentials.
fn link_of(ca: &DevCa, credentials: &Credentials, address: SocketAddr) -> NodeLink {
    let config = node_config(ca.certificate_pem(), credentials).expect("PEM");
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let peer = NodePeer { address, shard: ShardId(0), identity: Identity::new(Part::Engine, "two").expect("a name") };
    NodeLink::new(endpoint, config, peer, |task| drop(spawn_local(task)), |after| Box::pin(tokio::time::sleep(after)))
}

fn link(ca: &DevCa, address: SocketAddr) -> NodeLink {
    link_of(ca, &named(ca, Part::Engine, "one"), address)
}

async fn up(link: &NodeLink) {
    eventually("connected", || link.is_up()).await;
}

/// A body of some length that says which of its lane it is.
fn numbered(lane: Lane, number: u32, bytes: usize) -> Vec<u8> {
    let mut body = vec![lane.kind() as u8; bytes.max(5)];
    body[1..5].copy_from_slice(&number.to_le_bytes());
    body
}

fn number(body: &[u8]) -> (u8, u32) {
    (body[0], u32::from_le_bytes([body[1], body[2], body[3], body[4]]))
}

#[test]
fn bodies_of_a_lane_arrive_in_order_and_whole() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let link = link(&ca, listener.address);
        up(&link).await;
        let lengths = [5, 100, 4_096, 4_097, 70_000, 300_000];
        let (mut sent, mut bytes) = (Vec::new(), 0);
        for n in 0..300u32 {
            for lane in [Lane::Urgent, Lane::Bulk] {
                let body = numbered(lane, n, if lane == Lane::Urgent { 60 } else { lengths[n as usize % lengths.len()] });
                bytes += body.len() as u64;
                sent.push(body.clone());
                link.send(lane, body);
            }
            // Some wait together, some come alone.
            if n % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        eventually("all heard", || listener.heard() == 600).await;
        let heard = listener.heard.take();
        for kind in [7, 8] {
            let of = |bodies: &[Vec<u8>]| bodies.iter().filter(|body| body[0] == kind).cloned().collect::<Vec<_>>();
            let heard: Vec<Vec<u8>> = heard.iter().map(|(_, body)| body.clone()).collect();
            assert!(of(&heard) == of(&sent), "kind {kind}");
        }
        assert!(heard.iter().all(|(who, _)| who.name() == "one"));
        assert_eq!(link.counts(), NodeCounts { sent: 600, sent_bytes: bytes, ..NodeCounts::default() });
        listener.handle.close().await;
    });
}

#[test]
fn urgent_overtakes_bulk() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let link = link(&ca, listener.address);
        up(&link).await;
        for n in 0..12 {
            link.send(Lane::Bulk, numbered(Lane::Bulk, n, 1 << 20));
        }
        eventually("bulk is under way", || listener.heard() > 0).await;
        let before = listener.heard();
        link.send(Lane::Urgent, numbered(Lane::Urgent, 0, 60));
        eventually("all heard", || listener.heard() == 13).await;
        let place = listener.heard.borrow().iter().position(|(_, body)| body[0] == 7).expect("heard");
        // Of bulk only what QUIC had already is before it: a stream's window, 2 MiB, and what was sent of the next.
        assert!(place - before <= 4, "{before} bodies of a megabyte were heard when it was sent, and {place} when it came");
        listener.handle.close().await;
    });
}

#[test]
fn a_peer_that_ended_is_found_when_it_is_back() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let relay = Relay::to(listener.address).await;
        let link = link(&ca, relay.address);
        up(&link).await;
        link.send(Lane::Urgent, b"heard".to_vec());
        eventually("heard", || listener.heard() == 1).await;
        listener.handle.close().await;
        eventually("it said that it ends", || !link.is_up()).await;
        link.send(Lane::Urgent, b"lost".to_vec());
        link.send(Lane::Bulk, b"lost".to_vec());
        assert_eq!(link.counts().unconnected, 2);
        // Long enough for waits to have grown.
        tokio::time::sleep(NODE_CONNECT_MAX * 2).await;
        assert!(!link.is_up());
        let back = two(&ca);
        relay.lead(back.address);
        up(&link).await;
        link.send(Lane::Urgent, b"again".to_vec());
        eventually("heard again", || back.heard() == 1).await;
        back.handle.close().await;
    });
}

#[test]
fn a_peer_that_vanished_is_missed_soon() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let relay = Relay::to(listener.address).await;
        let link = link(&ca, relay.address);
        up(&link).await;
        relay.cut();
        let cut = Instant::now();
        eventually("missed", || !link.is_up()).await;
        let max = Duration::from_millis(u64::from(WATCHFUL_IDLE_MS_MAX) + 1_500);
        assert!(cut.elapsed() < max, "{:?}", cut.elapsed());
        relay.lead(listener.address);
        up(&link).await;
        listener.handle.close().await;
    });
}

#[test]
fn a_peer_that_is_heard_of_is_called_at_once() {
    on_one_thread(async {
        let ca = ca();
        let (two, three) =
            (two(&ca), Listener::start(server_config(ca.certificate_pem(), &named(&ca, Part::Engine, "three")).expect("PEM")));
        let relay = Relay::to(three.address).await;
        let link = link(&ca, relay.address);
        // Somebody else answers there, so attempts end at once, and after these the waits between them are of two seconds.
        tokio::time::sleep(BACKOFF_MAX * 2).await;
        relay.lead(two.address);
        link.wake();
        let since = Instant::now();
        up(&link).await;
        assert!(since.elapsed() < BACKOFF_MAX / 4, "{:?}", since.elapsed());
        two.handle.close().await;
        three.handle.close().await;
    });
}

#[test]
fn a_peer_that_started_anew_is_called_at_once() {
    on_one_thread(async {
        let ca = ca();
        let (before, after) = (two(&ca), two(&ca));
        let relay = Relay::to(before.address).await;
        let link = link(&ca, relay.address);
        up(&link).await;
        // The new one knows nothing of the connection, and the old one cannot say that it is gone.
        relay.lead(after.address);
        link.renew();
        let since = Instant::now();
        eventually("heard by the new one", || {
            link.send(Lane::Urgent, b"hello".to_vec());
            after.heard() > 0
        })
        .await;
        assert!(since.elapsed() < Duration::from_millis(1_000), "{:?}", since.elapsed());
        after.handle.close().await;
    });
}

#[test] // Each row: who listens, who calls, and that neither is content.
fn only_the_node_that_is_meant_is_spoken_to() {
    on_one_thread(async {
        let (ca, other) = (ca(), ca());
        let engine = |name| server_config(ca.certificate_pem(), &named(&ca, Part::Engine, name)).expect("PEM");
        let gateway = server_config(ca.certificate_pem(), &named(&ca, Part::Gateway, "two")).expect("PEM");
        let foreign = server_config(other.certificate_pem(), &named(&other, Part::Engine, "two")).expect("PEM");
        for (what, config, caller) in [
            ("another node has the address", engine("three"), named(&ca, Part::Engine, "one")),
            ("a gateway poses as a node", gateway, named(&ca, Part::Engine, "one")),
            ("a node of another cluster", foreign, named(&ca, Part::Engine, "one")),
            ("the caller is a gateway", engine("two"), named(&ca, Part::Gateway, "one")),
            ("the caller is an adapter", engine("two"), named(&ca, Part::Adapter, "one")),
        ] {
            let listener = Listener::start(config);
            let link = link_of(&ca, &caller, listener.address);
            for _ in 0..30 {
                link.send(Lane::Urgent, b"secret".to_vec());
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert!(!link.is_up(), "{what}");
            }
            assert_eq!((listener.heard(), link.counts().unconnected), (0, 30), "{what}");
            listener.handle.close().await;
        }
    });
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let link = link(&ca, listener.address);
        link.send(Lane::Urgent, vec![1]);
        assert_eq!(link.counts(), NodeCounts { unconnected: 1, ..NodeCounts::default() }, "not connected yet");
        up(&link).await;
        link.send(Lane::Bulk, Vec::new());
        link.send(Lane::Bulk, vec![0; NODE_BYTES_MAX + 1]);
        assert_eq!(link.counts().unfit, 2);
        // Nothing is written before this task waits, so the queue fills.
        let fit = NODE_QUEUE_MAX as u32;
        (0..fit + 3).for_each(|n| link.send(Lane::Bulk, numbered(Lane::Bulk, n, 5)));
        assert_eq!(link.counts().bulk_overflow, 3);
        eventually("the newest are heard", || listener.heard() == fit as usize).await;
        let heard: Vec<u32> = listener.heard.take().iter().map(|(_, body)| number(body).1).collect();
        assert_eq!(heard, (3..fit + 3).collect::<Vec<_>>());
        // Too long for the urgent lane, so it goes by the other.
        link.send(Lane::Urgent, numbered(Lane::Urgent, 0, NODE_URGENT_BYTES_MAX + 1));
        link.send(Lane::Urgent, numbered(Lane::Urgent, 1, NODE_URGENT_BYTES_MAX));
        eventually("both are heard", || listener.heard() == 2).await;
        assert_eq!(link.counts().unfit, 2);
        listener.handle.close().await;
    });
}

#[test]
fn a_closed_link_says_so() {
    on_one_thread(async {
        let ca = ca();
        let listener = two(&ca);
        let (first, second) = (link(&ca, listener.address), link(&ca, listener.address));
        up(&first).await;
        up(&second).await;
        first.close();
        drop(second);
        eventually("down", || !first.is_up()).await;
        listener.handle.goaway();
        // Would wait for ten seconds if it had not been told.
        let since = Instant::now();
        listener.handle.close().await;
        assert!(since.elapsed() < Duration::from_secs(1));
    });
}
