//! The wire protocol served by the engine itself: one port a shard, found by a shard-aware client.

mod common;

use common::{chain, config, run_async, under_both_drivers, verify_sound};
use engine::{Config, Engine, OpenError, Shutdown, WireListen};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{SystemTime, UNIX_EPOCH},
};
use wire::{
    Body, Client, Millis, Op, PartitionId, Request,
    quic::{ClusterClient, DevCa, Identity, Part, QuicClient, client_config},
};

under_both_drivers! {
    every_shard_answers_on_its_own_port_until_the_engine_leaves
    a_port_in_use_is_told_and_leaves_nothing_behind
}

/// Two ports in a row that are free, most likely.
fn two_ports() -> SocketAddr {
    loop {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        if first.port() < u16::MAX - 2 && UdpSocket::bind((Ipv4Addr::LOCALHOST, first.port() + 1)).is_ok() {
            return first;
        }
    }
}

/// An authority, and the engine's side of the link.
fn link(listen: SocketAddr) -> (DevCa, Millis, WireListen) {
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Millis(u64::try_from(since.as_millis()).unwrap());
    let ca = DevCa::generate(now).unwrap();
    let credentials = ca.issue(&Identity::new(Part::Engine, "one").unwrap(), now).unwrap();
    let authority_pem = ca.certificate_pem().to_owned();
    (ca, now, WireListen { listen, authority_pem, credentials })
}

fn every_shard_answers_on_its_own_port_until_the_engine_leaves() {
    run_async(every_shard_answers());
}

async fn every_shard_answers() {
    let folder = tempfile::tempdir().unwrap();
    let listen = two_ports();
    let (ca, now, wire) = link(listen);
    let engine = Engine::open(Config { wire: Some(wire), ..config(folder.path(), 2) }).unwrap();
    let credentials = ca.issue(&Identity::new(Part::Gateway, "one").unwrap(), now).unwrap();
    let client = QuicClient::connect(listen, client_config(ca.certificate_pem(), &credentials).unwrap()).await.unwrap();
    assert_eq!(client.topology(), engine.topology());
    let nodes = client.call(Request { principal: wire::Principal::Anonymous, ..Request::system(Op::ClusterMap) }).await.unwrap();
    assert_eq!(nodes.result, Ok(Body::ClusterMap(None)), "alone");
    // Whoever can speak to a cluster can speak to a node alone.
    let config = client_config(ca.certificate_pem(), &credentials).unwrap();
    let of_any = ClusterClient::connect(&[listen.to_string()], config).await.unwrap();
    assert_eq!((of_any.topology(), of_any.map()), (engine.topology(), None));
    let list = Request { principal: wire::Principal::Anonymous, ..Request::system(Op::ListCategories) };
    assert_eq!(of_any.call(list).await.unwrap().result, Ok(Body::Categories(Vec::new())));
    drop(of_any);
    let create = |partition| {
        let op = Op::CreateCart { currency: "EUR".parse().unwrap(), partition: PartitionId(partition) };
        client.call(Request { principal: wire::Principal::Anonymous, ..Request::system(op) })
    };
    for partition in 0..16 {
        let response = create(partition).await.unwrap();
        assert!(matches!(response.result, Ok(Body::Cart(_))), "{response:?}");
        assert_eq!(response.positions[0].partition, PartitionId(partition));
    }
    let end = tokio::task::spawn_blocking(|| engine.shutdown()).await.unwrap();
    assert_eq!(end, Shutdown::Drained);
    assert!(!matches!(create(0).await, Ok(wire::Response { result: Ok(_), .. })), "the engine is gone");
    assert!(verify_sound(folder.path()).entries >= 16);
}

fn a_port_in_use_is_told_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let listen = two_ports();
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, listen.port() + 1)).unwrap();
    let (_ca, _now, wire) = link(listen);
    let with_link = Config { wire: Some(wire), ..config(folder.path(), 2) };
    let error = Engine::open(with_link.clone()).unwrap_err();
    assert!(matches!(error, OpenError::Listen { .. }), "{error:?}");
    let address = taken.local_addr().unwrap();
    assert!(chain(&error).contains(&format!("nobody can listen on {address}")), "{}", chain(&error));
    drop(taken);
    let engine = Engine::open(with_link).unwrap();
    assert_eq!(engine.shutdown(), Shutdown::Drained);
}
