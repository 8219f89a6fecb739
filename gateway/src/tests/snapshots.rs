//! The snapshots' route: it asks every shard, and sums up.

use super::{Rig, bearer};
use serde_json::json;
use wire::{Body, Failure, Op, Role, ShardId, SnapshotReport};

#[tokio::test]
async fn every_shard_is_asked_and_only_for_an_admin() {
    let mut rig = Rig::new(|request| {
        let Op::Snapshots { shard, .. } = request.op else { return Err(Failure::Internal) };
        let failure = (shard == ShardId(1)).then(|| "no room".to_owned());
        Ok(Body::Snapshots(SnapshotReport { partitions: 32, due: 3, log_bytes: 1_000, log_bytes_max: 4_000, failure }))
    });
    let admin = bearer(Role::Admin);
    let headers = [("authorization", admin.as_str())];
    let sum = json!({"partitions": 64, "due": 6, "log_bytes": 2_000, "log_bytes_max": 8_000, "failure": "no room"});
    for (call, status, take) in [("GET", 200, false), ("POST", 202, true)] {
        let reply = rig.json(&format!("{call} /v1/admin/snapshots"), &headers, if take { "{}" } else { "" }).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (status, sum.clone()), "{call}");
        assert_eq!(rig.last().op, Op::Snapshots { shard: ShardId(1), take });
        let warehouse = bearer(Role::Warehouse);
        let refused = rig.json(&format!("{call} /v1/admin/snapshots"), &[("authorization", warehouse.as_str())], "{}").await;
        assert_eq!(refused.problem(), (403, "forbidden".to_owned()), "{call}");
    }
}
