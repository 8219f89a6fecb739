//! The running nodes of a cluster, asked as one of those who operate it.
//!
//! Path: a node's folder (or an invitation) → where nodes are, and a certificate that may ask everything → [`Operator::map`] and [`Operator::ask`].
//! Bounds: [`ANSWER_MS_MAX`] for an answer, over changes of who leads; [`HEARS_WAIT_MAX`].

use crate::{
    address::Address,
    fail::{Fail, one_line},
    files, link,
    running::Running,
};
use engine::node::NodeFile;
use std::{fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};
use wire::{
    Body, Client as _, ClusterMap, Failure, NodeInfo, Op, Refusal, Request,
    quic::{ClusterClient, Credentials},
};

/// How long an answer may take, a change of leaders included.
const ANSWER_MS_MAX: u32 = 15_000;

/// How long a node that has started may take until it has heard of the cluster, and how often it is asked.
const HEARS_WAIT_MAX: Duration = Duration::from_secs(10);
const HEARS_WAIT: Duration = Duration::from_millis(200);

/// Lets an operator ask. Must be made and used on a tokio runtime.
pub(super) struct Operator {
    client: ClusterClient,
    addresses: String,
}

impl Operator {
    /// Of the cluster that the node of the folder `data` is one of. Which of its nodes run is no matter, as long as one does.
    pub(super) async fn of_folder(data: &Path) -> Result<Self, Fail> {
        let node = NodeFile::read(data).map_err(|error| Fail::of(&error))?.ok_or_else(|| {
            Fail::Failed(format!(
                "{} is no folder of a cluster's node: name one with --data, or make one with `emporion cluster init`",
                data.display()
            ))
        })?;
        let running = Running::link(data)?.map(|link| link.address.to_string());
        let peers = node.peers.iter().map(|peer| peer.address.clone());
        let addresses: Vec<String> = running.into_iter().chain([node.place.address.clone()]).chain(peers).collect();
        let files = link::operator(data);
        let read = |path: &Path| {
            fs::read_to_string(path)
                .map_err(|_| Fail::Failed(format!("{} is not there: run `emporion engine --data {}` once", path.display(), data.display())))
        };
        let credentials = Credentials { certificate_pem: read(&files.certificate)?, key_pem: read(&files.key)? };
        files::private(&files.key)?;
        Self::connect(&addresses, &read(&files.ca)?, &credentials).await
    }

    /// With what an invitation for a node lets its bearer do.
    pub(super) async fn invited(engines: &[Address], ca: &str, credentials: &Credentials) -> Result<Self, Fail> {
        let addresses: Vec<String> = engines.iter().map(ToString::to_string).collect();
        Self::connect(&addresses, ca, credentials).await
    }

    async fn connect(addresses: &[String], ca: &str, credentials: &Credentials) -> Result<Self, Fail> {
        let config = wire::quic::client_config(ca, credentials).map_err(|error| Fail::of(&error))?;
        let client = ClusterClient::connect(addresses, config).await;
        let addresses = addresses.join(", ");
        let client = client.map_err(|error| {
            Fail::Failed(format!("no node answers at {addresses} ({}): is one running, and can it be reached from here?", one_line(&error)))
        })?;
        Ok(Self { client, addresses })
    }

    /// The nodes, and who leads what. Waits for a node that has only just started.
    pub(super) async fn map(&self) -> Result<ClusterMap, Fail> {
        let until = Instant::now() + HEARS_WAIT_MAX;
        loop {
            match self.ask(Op::ClusterMap).await? {
                Body::ClusterMap(Some(map)) => return Ok(*map),
                Body::ClusterMap(None) if Instant::now() < until => sleep(HEARS_WAIT).await,
                Body::ClusterMap(None) => {
                    let why = format!(
                        "the node at {} has not heard of its cluster: see that the others run, and that it reaches them",
                        self.addresses
                    );
                    return Err(Fail::Failed(why));
                }
                other => return Err(strange(&other)),
            }
        }
    }

    /// What the cluster says.
    pub(super) async fn ask(&self, op: Op) -> Result<Body, Fail> {
        let request = Request { timeout_ms: ANSWER_MS_MAX, ..Request::system(op) };
        match self.client.call(request).await {
            Ok(response) => response.result.map_err(|failure| Fail::Failed(described(&failure))),
            Err(error) => Err(Fail::Failed(format!("the cluster does not answer ({}): see `emporion cluster status`", one_line(&error)))),
        }
    }
}

/// The node that a person means: by its name, or by its number.
pub(super) fn named<'map>(map: &'map ClusterMap, text: &str) -> Result<&'map NodeInfo, Fail> {
    let by_number = || text.parse().ok().and_then(|number: u64| map.nodes.iter().find(|node| node.id.0 == number));
    map.named(text).or_else(by_number).ok_or_else(|| {
        let names: Vec<&str> = map.nodes.iter().map(|node| node.name.as_str()).collect();
        Fail::Failed(format!("there is no node {text}: there are {}", names.join(", ")))
    })
}

/// It answered something that is no answer to the question.
pub(super) fn strange(body: &Body) -> Fail {
    Fail::Failed(format!("a node answered something else than was asked ({body:?}): is it of the same version?"))
}

fn described(failure: &Failure) -> String {
    match failure {
        Failure::Refused(Refusal::Invalid(fields)) => {
            let said: Vec<String> = fields
                .iter()
                .map(|field| match field.pointer.trim_start_matches('/') {
                    "" => field.detail.clone(),
                    what => format!("{what}: {}", field.detail),
                })
                .collect();
            format!("the cluster refuses: {}", said.join("; "))
        }
        Failure::Refused(Refusal::NotFound) => "the cluster knows no such node: see `emporion cluster status`".into(),
        other => format!("the cluster cannot do it now ({other:?}): see `emporion cluster status`, and try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{FieldError, NodeId, NodeState};

    #[test]
    fn nodes_are_meant_by_name_before_number() {
        let node = |id, name: &str| NodeInfo {
            id: NodeId(id),
            name: name.into(),
            address: "127.0.0.1:1".into(),
            shards: 1,
            zone: "z".into(),
            region: "r".into(),
            state: NodeState::Up,
        };
        let map = ClusterMap { epoch: 1, partitions: 1, nodes: vec![node(1, "a"), node(2, "3"), node(3, "c")], leaders: vec![None] };
        for (text, id) in [("a", 1), ("1", 1), ("3", 2), ("c", 3), ("2", 2)] {
            assert_eq!(named(&map, text).map(|node| node.id.0), Ok(id), "{text}");
        }
        assert_eq!(named(&map, "d").unwrap_err(), Fail::Failed("there is no node d: there are a, 3, c".into()));
    }

    #[test]
    fn refusals_are_one_line() {
        let field = |pointer: &str| FieldError { pointer: pointer.into(), code: "x".into(), detail: "is wrong".into() };
        let refused = Failure::Refused(Refusal::Invalid(vec![field(""), field("/zone")]));
        assert_eq!(described(&refused), "the cluster refuses: is wrong; zone: is wrong");
    }
}
