//! Tests of frames: bytes as frozen, round trips, hostile bytes.

use super::*;
use crate::*;
use expect_test::{Expect, expect};
use proptest::{collection::vec, prelude::*};

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).expect("within bounds");
    bytes
}

/// 16 bytes a line; runs of lines of zeros are left out.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        if bytes.iter().any(|b| *b != 0) {
            let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
            text += &format!("{:03x}  {}\n", line * 16, hex.join(" "));
        }
    }
    text
}

fn assert_bytes(frame: &Frame, expected: &Expect) {
    let bytes = encoded(frame);
    expected.assert_eq(&dump(&bytes));
    assert_eq!(Frame::decode(&bytes), Ok((frame.clone(), bytes.len())));
}

fn add_line() -> Request {
    let cart = CartId::new(Millis(1_764_000_000_123), PartitionId(63), Seq(7), 2);
    Request {
        principal: Principal::Guest { cart },
        timeout_ms: 2_500,
        trace: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        idempotency: Some(Idempotency { key: 1, fingerprint: 2 }),
        if_match: Some(3),
        at_least: vec![Position { epoch: 1, partition: PartitionId(63), seq: Seq(8) }],
        op: Op::AddLine { cart, sku: SkuRef::Key("cartridge-42".into()), quantity: 3 },
    }
}

#[test] // A change of these bytes is a new protocol version. UPDATE_EXPECT=1 rewrites them.
fn bytes_are_frozen() {
    assert_bytes(
        &Frame::Hello(Hello::OURS),
        &expect![[r#"
            000  04 00 00 00 01 04 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 01 01 00 00
        "#]],
    );
    assert_bytes(
        &Frame::Welcome(Welcome { version: 1, partitions: 64, shards: 4, shard: 2, in_flight_max: 1_024 }),
        &expect![[r#"
            000  0c 00 00 00 01 05 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 01 00 40 00 04 00 02 00 00 04 00 00
        "#]],
    );
    assert_bytes(
        &Frame::GoAway,
        &expect![[r#"
        000  00 00 00 00 01 06 00 00 00 00 00 00 00 00 00 00
    "#]],
    );
    assert_bytes(
        &Frame::Node { lane: Lane::Urgent, body: b"hi".to_vec() },
        &expect![[r#"
            000  02 00 00 00 01 07 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 68 69
        "#]],
    );
    assert_bytes(
        &Frame::Node { lane: Lane::Bulk, body: vec![0xab; 20] },
        &expect![[r#"
            000  14 00 00 00 01 08 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 ab ab ab ab ab ab ab ab ab ab ab ab
            030  ab ab ab ab ab ab ab ab
        "#]],
    );
    assert_bytes(
        &Frame::Cancel { id: RequestId(0x0102_0304) },
        &expect![[r#"
        000  00 00 00 00 01 03 00 00 04 03 02 01 00 00 00 00
    "#]],
    );
    assert_bytes(
        &Frame::Request { id: RequestId(7), request: Box::new(Request::system(Op::ListCategories)) },
        &expect![[r#"
            000  ab 00 00 00 01 01 00 00 07 00 00 00 00 00 00 00
            010  10 27 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00
            030  00 00 00 00 00 10 27 00 00 00 00 00 00 00 00 00
            070  00 00 00 b1 ff ff ff 00 00 00 00 01 00 00 00 00
        "#]],
    );
    assert_bytes(
        &Frame::Request { id: RequestId(8), request: Box::new(add_line()) },
        &expect![[r#"
            000  c5 00 00 00 01 01 00 00 08 00 00 00 00 00 00 00
            010  c4 09 00 00 77 66 55 44 33 22 11 00 ef cd ab 89
            020  67 45 23 01 01 00 00 00 3f 00 08 00 00 00 00 00
            030  00 00 63 61 72 74 72 69 64 67 65 2d 34 32 01 02
            040  00 07 00 00 00 00 00 3f 00 7b e8 97 b6 9a 01 c4
            050  09 00 00 77 66 55 44 33 22 11 00 ef cd ab 89 67
            060  45 23 01 01 01 00 00 00 00 00 00 00 00 00 00 00
            070  00 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00
            080  00 00 00 00 01 03 00 00 00 00 00 00 00 97 ff ff
            090  ff 01 00 00 00 08 02 00 07 00 00 00 00 00 3f 00
            0a0  7b e8 97 b6 9a 01 01 8c 00 00 00 8b ff ff ff 00
            0b0  00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 00
        "#]],
    );
    let position = Position { epoch: 1, partition: PartitionId(5), seq: Seq(9) };
    let refused = Response { positions: vec![position], replayed: true, result: Err(Failure::Overloaded { retry_after_ms: 50 }) };
    assert_bytes(
        &Frame::Response { id: RequestId(9), trace: 1, response: Box::new(refused) },
        &expect![[r#"
            000  41 00 00 00 01 02 00 00 09 00 00 00 00 00 00 00
            010  00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
            020  00 00 00 00 01 00 00 00 05 00 09 00 00 00 00 00
            030  00 00 f2 ff ff ff 01 00 00 00 01 01 01 32 00 00
        "#]],
    );
}

#[test] // As above.
fn bytes_of_cluster_maps_are_frozen() {
    let answer = |map: Option<ClusterMap>| {
        let result = Ok(Body::ClusterMap(map.map(Box::new)));
        let response = Box::new(Response { positions: Vec::new(), replayed: false, result });
        Frame::Response { id: RequestId(1), trace: 0, response }
    };
    assert_bytes(
        &answer(None),
        &expect![[r#"
        000  33 00 00 00 01 02 00 00 01 00 00 00 00 00 00 00
        020  00 00 00 00 00 00 00 00 00 00 00 00 00 00 1c 00
    "#]],
    );
    let node = NodeInfo {
        id: NodeId(3),
        name: "three".into(),
        address: "shop-3.example:7400".into(),
        shards: 2,
        zone: "a".into(),
        region: "eu".into(),
        state: NodeState::Draining,
    };
    let map = ClusterMap { epoch: 9, partitions: 2, nodes: vec![node], leaders: vec![Some(NodeId(3)), None] };
    assert_bytes(
        &answer(Some(map)),
        &expect![[r#"
            000  9d 00 00 00 01 02 00 00 01 00 00 00 00 00 00 00
            020  00 00 00 00 73 68 6f 70 2d 33 2e 65 78 61 6d 70
            030  6c 65 3a 37 34 30 30 03 00 00 00 00 00 00 00 74
            040  68 72 65 65 ff ff ff 93 00 00 00 dd ff ff ff 02
            050  00 61 ff ff ff ff ff ff ff 65 75 ff ff ff ff ff
            060  ff 01 01 03 00 00 00 00 00 00 00 00 00 00 00 00
            070  00 00 00 00 09 00 00 00 00 00 00 00 02 00 b9 ff
            080  ff ff 01 00 00 00 dc ff ff ff 02 00 00 00 96 ff
            090  ff ff 00 00 00 00 00 00 1c 01 da ff ff ff 00 00
        "#]],
    );
    assert_bytes(
        &Frame::Request { id: RequestId(1), request: Box::new(Request::system(Op::ClusterMap)) },
        &expect![[r#"
        000  ab 00 00 00 01 01 00 00 01 00 00 00 00 00 00 00
        010  10 27 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        020  00 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00
        030  00 00 00 00 00 10 27 00 00 00 00 00 00 00 00 00
        070  00 00 00 b1 ff ff ff 00 00 00 00 33 00 00 00 00
    "#]],
    );
}

#[test] // `PROTOCOL.md` names these.
fn sizes_are_frozen() {
    assert_eq!((size_of::<ArchivedRequest>(), size_of::<ArchivedResponse>()), (171, 51));
}

#[test] // Each row: what is wrong with a header, and where.
fn bad_headers_are_refused() {
    let good = encoded(&Frame::Cancel { id: RequestId(1) });
    let with = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        RawFrame::split(&bytes).expect_err("a bad header")
    };
    assert_eq!(with(4, 2), DecodeError::Version { found: 2 });
    assert_eq!(with(5, 0), DecodeError::Kind { found: 0 });
    assert_eq!(with(5, 9), DecodeError::Kind { found: 9 });
    assert_eq!(with(0, 1), DecodeError::Length { kind: Kind::Cancel, found: 1, min: 0, max: 0 });
    assert_eq!(with(5, 1), DecodeError::Length { kind: Kind::Request, found: 0, min: 1, max: REQUEST_BYTES_MAX });
    for offset in [6, 7, 16, 20, 35] {
        assert_eq!(with(offset, 1), DecodeError::NotZero { kind: Kind::Cancel }, "offset {offset}");
    }
    assert_eq!(with(5, 6), DecodeError::NotZero { kind: Kind::GoAway }, "goaway has no request id");
    assert_eq!(with(5, 7), DecodeError::Length { kind: Kind::NodeUrgent, found: 0, min: 1, max: NODE_URGENT_BYTES_MAX });
    let node = encoded(&Frame::Node { lane: Lane::Bulk, body: vec![1] });
    for offset in [6, 7, 8, 16, 20, 35] {
        let mut bytes = node.clone();
        bytes[offset] = 1;
        assert_eq!(RawFrame::split(&bytes).unwrap_err(), DecodeError::NotZero { kind: Kind::NodeBulk }, "offset {offset}");
    }
}

#[test]
fn lengths_are_bounded_before_the_body_arrives() {
    let mut header = [0; HEADER_BYTES];
    header[4] = VERSION;
    for (kind, max) in [
        (Kind::Request, REQUEST_BYTES_MAX),
        (Kind::Response, RESPONSE_BYTES_MAX),
        (Kind::NodeUrgent, NODE_URGENT_BYTES_MAX),
        (Kind::NodeBulk, NODE_BYTES_MAX),
    ] {
        header[5] = kind as u8;
        header[..4].copy_from_slice(&(max as u32).to_le_bytes());
        assert_eq!(RawFrame::split(&header).unwrap_err(), DecodeError::Incomplete { need: HEADER_BYTES + max, have: HEADER_BYTES });
        header[..4].copy_from_slice(&(max as u32 + 1).to_le_bytes());
        assert!(matches!(RawFrame::split(&header).unwrap_err(), DecodeError::Length { .. }));
    }
    // A promise of a megabyte reserves nothing.
    header[5] = Kind::Request as u8;
    header[..4].copy_from_slice(&(REQUEST_BYTES_MAX as u32).to_le_bytes());
    let mut buffer = Buffer::new(Side::Server);
    buffer.push(&header);
    assert!(buffer.next().expect("a good header").is_none());
    assert!(buffer.bytes.capacity() < 1_024);
}

#[test]
fn too_long_bodies_are_not_sent_and_leave_no_trace() {
    let mut out = vec![1, 2, 3];
    let request = Request::system(Op::Suggest { text: "x".repeat(REQUEST_BYTES_MAX), limit: 1 });
    let error = encode_request(RequestId(1), &request, &mut out).expect_err("too long");
    assert!(matches!(error, EncodeError::TooLong { kind: Kind::Request, max: REQUEST_BYTES_MAX, .. }));
    assert_eq!(out, [1, 2, 3]);
    for (lane, max) in [(Lane::Urgent, NODE_URGENT_BYTES_MAX), (Lane::Bulk, NODE_BYTES_MAX)] {
        assert!(node_header(lane, max).is_ok());
        let error = Frame::Node { lane, body: vec![0; max + 1] }.encode(&mut out).expect_err("too long");
        assert_eq!(error, EncodeError::TooLong { kind: lane.kind(), found: max + 1, max });
        let error = Frame::Node { lane, body: Vec::new() }.encode(&mut out).expect_err("nothing in it");
        assert_eq!(error, EncodeError::Empty { kind: lane.kind() });
        assert_eq!(out, [1, 2, 3]);
    }
}

#[test] // Each row: a frame, and which streams carry it: those to a client, those to a server, and those of nodes.
fn a_stream_takes_only_what_belongs_there() {
    let node = |lane| Frame::Node { lane, body: vec![1] };
    for (frame, taken) in [
        (Frame::Hello(Hello::OURS), [false, true, false]),
        (Frame::GoAway, [true, false, false]),
        (node(Lane::Urgent), [false, false, true]),
        (node(Lane::Bulk), [false, false, true]),
    ] {
        let buffers = [Buffer::new(Side::Client), Buffer::new(Side::Server), Buffer::of_node()];
        let found = buffers.map(|mut buffer| {
            // The header alone tells: nobody keeps megabytes of what is refused in the end.
            buffer.push(&encoded(&frame)[..HEADER_BYTES]);
            buffer.next().is_ok()
        });
        assert_eq!(found, taken, "{frame:?}");
    }
}

#[test]
fn a_bad_body_does_not_lose_the_next_frame() {
    let mut bytes = encoded(&Frame::Request { id: RequestId(1), request: Box::new(add_line()) });
    let tag = bytes.len() - size_of::<ArchivedRequest>(); // of the principal
    bytes[tag] = 200;
    let good = Frame::Request { id: RequestId(2), request: Box::new(add_line()) };
    bytes.extend(encoded(&good));
    let mut buffer = Buffer::new(Side::Server);
    buffer.push(&bytes);
    let raw = buffer.next().expect("framed well").expect("whole");
    assert_eq!(raw.header.id, RequestId(1));
    assert!(matches!(raw.read(), Err(DecodeError::Body { kind: Kind::Request, .. })));
    assert_eq!(buffer.next().expect("framed well").expect("whole").read(), Ok(good));
}

#[test]
fn header_and_body_must_agree() {
    let mut bytes = encoded(&Frame::Request { id: RequestId(1), request: Box::new(add_line()) });
    bytes[16] ^= 1;
    assert!(matches!(Frame::decode(&bytes), Err(DecodeError::Body { .. })));
}

#[test]
fn versions_meet_or_do_not() {
    for (oldest, newest, agreed) in [(1, 1, Some(1)), (0, 9, Some(1)), (2, 3, None), (0, 0, None)] {
        assert_eq!(Hello { oldest, newest }.agreed(), agreed);
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let text = ".{0,40}";
    let id = || any::<u128>().prop_map(RawId);
    let op = prop_oneof![
        Just(Op::ListCategories),
        Just(Op::ClusterMap),
        id().prop_map(|id| Op::GetCart(CartId(id))),
        id().prop_map(|id| Op::GetProduct(ProductRef::Id(ProductId(id)))),
        (id(), text, any::<u32>()).prop_map(|(cart, key, quantity)| Op::AddLine { cart: CartId(cart), sku: SkuRef::Key(key), quantity }),
        (text, vec(text, 0..5), any::<Option<i64>>(), any::<bool>()).prop_map(|(text, values, min, total)| {
            let filters = vec![Filter::Brand(values), Filter::Price { min, max: None }];
            Op::Search(SearchQuery {
                text,
                filters,
                facets: vec![Facet::PriceHistogram(8), Facet::CategoryTree(2)],
                facet_queries: vec![FacetQuery { facet: Facet::Brand, text: "sams".to_owned() }],
                limit: 20,
                total,
                ..SearchQuery::default()
            })
        }),
        (text, text, any::<i64>()).prop_map(|(location, reason, delta)| {
            let change = StockChange::Delta(delta);
            Op::AdjustStock(StockAdjustment { sku: SkuRef::Key("a".into()), location, change, reason, id: None })
        }),
        (any::<u16>(), vec(text, 0..4)).prop_map(|(shard, adapters)| Op::TakeEffects {
            shard: ShardId(shard),
            adapters,
            max: 1,
            lease_ms: 2,
            wait_ms: 3
        }),
    ];
    let position = (any::<u32>(), any::<u16>(), any::<u64>()).prop_map(|(epoch, partition, seq)| Position {
        epoch,
        partition: PartitionId(partition),
        seq: Seq(seq),
    });
    (op, any::<u32>(), any::<u128>(), any::<Option<u64>>(), any::<Option<(u128, u128)>>(), vec(position, 0..4)).prop_map(
        |(op, timeout_ms, trace, if_match, idempotency, at_least)| Request {
            principal: Principal::Staff { role: Role::Admin },
            timeout_ms,
            trace,
            idempotency: idempotency.map(|(key, fingerprint)| Idempotency { key, fingerprint }),
            if_match,
            at_least,
            op,
        },
    )
}

fn any_response() -> impl Strategy<Value = Response> {
    let text = ".{0,40}";
    let hit = (any::<u128>(), text, any::<Option<i64>>()).prop_map(|(id, title, amount)| SearchHit {
        product: ProductId(RawId(id)),
        key: title.clone(),
        title: title.clone(),
        brand: None,
        category: Some("printers/ink".into()),
        price: amount.map(|amount| Money { amount, currency: Currency::USD }),
        image: None,
        in_stock: true,
        sku: SkuId(RawId(id)),
        score: 1.5,
        pinned: true,
        explanation: Some(vec![ScorePart { what: "word".into(), detail: Some("ink".into()), score: 1.5 }]),
        highlight: Some(Highlight { title, description: None }),
    });
    let result = prop_oneof![
        Just(Ok(Body::Done)),
        (vec(hit, 0..20), any::<Option<u64>>()).prop_map(|(items, total)| {
            let (facets, next) = (Vec::new(), Some(vec![1, 2, 3]));
            Ok(Body::Search(Box::new(SearchResults {
                items,
                facets,
                total,
                relaxed: false,
                next,
                did_you_mean: Some("lamp".into()),
                redirect: None,
                banner: Some(Banner { text: "Sale".into(), url: None }),
                partial: true,
            })))
        }),
        vec((text, text, text), 0..4).prop_map(|fields| {
            let fields = fields.into_iter().map(|(pointer, code, detail)| FieldError { pointer, code, detail });
            Err(Failure::Refused(Refusal::Invalid(fields.collect())))
        }),
        any::<u32>().prop_map(|retry_after_ms| Err(Failure::Overloaded { retry_after_ms })),
        any::<Option<u64>>().prop_map(|id| Err(Failure::NotLeader { leader: id.map(NodeId) })),
        (vec((any::<u64>(), text), 0..4), vec(any::<Option<u64>>(), 0..9)).prop_map(|(nodes, leaders)| {
            let node = |(id, text): (u64, String)| NodeInfo {
                id: NodeId(id),
                name: text.clone(),
                address: text.clone(),
                shards: 1,
                zone: text,
                region: String::new(),
                state: NodeState::Down,
            };
            let nodes = nodes.into_iter().map(node).collect();
            let leaders = leaders.into_iter().map(|id| id.map(NodeId)).collect();
            Ok(Body::ClusterMap(Some(Box::new(ClusterMap { epoch: 1, partitions: 2, nodes, leaders }))))
        }),
    ];
    (any::<bool>(), result).prop_map(|(replayed, result)| Response { positions: Vec::new(), replayed, result })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (any::<u64>(), any_request()).prop_map(|(id, request)| Frame::Request { id: RequestId(id), request: Box::new(request) }),
        (any::<u64>(), any::<u128>(), any_response()).prop_map(|(id, trace, response)| Frame::Response {
            id: RequestId(id),
            trace,
            response: Box::new(response)
        }),
        any::<u64>().prop_map(|id| Frame::Cancel { id: RequestId(id) }),
        (any::<bool>(), vec(any::<u8>(), 1..400)).prop_map(|(urgent, body)| {
            let lane = if urgent { Lane::Urgent } else { Lane::Bulk };
            Frame::Node { lane, body }
        }),
    ]
}

proptest! {
    #[test]
    fn frames_round_trip(frame in any_frame(), behind in vec(any::<u8>(), 0..40)) {
        let mut bytes = encoded(&frame);
        let len = bytes.len();
        bytes.extend(behind);
        prop_assert_eq!(Frame::decode(&bytes), Ok((frame, len)));
    }

    #[test] // However the bytes are cut, the same frames come out.
    fn pieces_make_the_same_frames(requests in vec(any_request(), 1..6), cuts in vec(1usize..400, 1..40)) {
        let frames: Vec<Frame> =
            requests.into_iter().zip(0..).map(|(request, id)| Frame::Request { id: RequestId(id), request: Box::new(request) }).collect();
        let bytes: Vec<u8> = frames.iter().flat_map(encoded).collect();
        let (mut buffer, mut rest, mut found) = (Buffer::new(Side::Server), &bytes[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            buffer.push(piece);
            while let Some(raw) = buffer.next().expect("well framed") {
                found.push(raw.read().expect("a request"));
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn a_front_part_is_incomplete(frame in any_frame(), cut: prop::sample::Index) {
        let bytes = encoded(&frame);
        let have = cut.index(bytes.len());
        match Frame::decode(&bytes[..have]) {
            Err(DecodeError::Incomplete { need, have: found }) => {
                prop_assert_eq!(found, have);
                prop_assert!(need == HEADER_BYTES || need == bytes.len());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test] // The body of a frame is where hostile bytes are most likely to do harm: what is read from them can be written again.
    fn damaged_bodies_never_panic(frame in any_frame(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = encoded(&frame);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok((frame, _)) = Frame::decode(&bytes) {
            let again = encoded(&frame);
            prop_assert_eq!(encoded(&Frame::decode(&again).expect("our own bytes").0), again);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300), kind in 1u8..9) {
        let _ = Frame::decode(&bytes);
        // The same behind a header that lets them through.
        let mut framed = vec![0; HEADER_BYTES];
        framed[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        framed[4..6].copy_from_slice(&[VERSION, kind]);
        framed.extend(bytes);
        let _ = Frame::decode(&framed);
    }
}
