//! Fixtures: one entry of every command, byte for byte, and what a decoder does with bytes that are none.
//!
//! `UPDATE_EXPECT=1` rewrites the texts. Once version 1 is released that is a break of every log there is: add a version instead.

use super::{RecordError, decode, encode, encode_into, v1};
use crate::seal::Keyring;
use expect_test::{Expect, expect_file};
use proptest::prelude::*;
use v1::{Command, Entry};
use wire::{
    ActionOutcome, AnnouncementId, CartId, CategoryId, Currency, EffectOutcome, EventId, HoldId, Idempotency, LineId, Millis, Money,
    OrderId, PartitionId, ProductId, Seq, SkuId, TransferId,
};

fn at(ordinal: u16) -> (Millis, PartitionId, Seq, u16) {
    (Millis(1_764_000_000_123), PartitionId(7), Seq(42), ordinal)
}

macro_rules! id {
    ($kind:ident, $ordinal:expr) => {{
        let (time, partition, seq, ordinal) = at($ordinal);
        $kind::new(time, partition, seq, ordinal)
    }};
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

fn product() -> v1::Product {
    use v1::AttributeValue::{Bool, Keyword, Number, Text};
    let attribute = |name: &str, value| v1::Attribute { name: text(name), value };
    v1::Product {
        key: text("1399"),
        title: text("HP 80 Original Cyan"),
        description: text("Ink"),
        brand: Some(text("HP")),
        category: vec![v1::CategoryNode { id: id!(CategoryId, 1), key: text("printers/ink") }],
        attributes: vec![
            attribute("t_note", Text(text("fits the 1050c"))),
            attribute("t_type", Keyword(text("Original"))),
            attribute("n_width", Number(56.5)),
            attribute("b_wireless", Bool(false)),
        ],
        images: vec![v1::Image { url: text("https://img.example/1.jpg"), alt: text("box") }],
        variants: vec![v1::Variant {
            key: text("1399-M"),
            options: vec![(text("size"), text("M"))],
            prices: vec![usd(12_595)],
            barcodes: vec![text("0882780756328")],
        }],
        stock: vec![v1::OpeningStock { variant: text("1399-M"), location: text("main"), partition: PartitionId(61), on_hand: 25 }],
        popularity: -3,
        released: Some(20_000),
        status: v1::ProductStatus::Active,
    }
}

fn place() -> v1::PlaceOrder {
    let keyring = Keyring::new(&[1; 32]);
    let line = v1::HoldLine { sku: id!(SkuId, 2), quantity: 2 };
    v1::PlaceOrder {
        cart: id!(CartId, 3),
        cart_version: 5,
        email: keyring.seal(&text("ada@example.org"), [2; 12]),
        provider: text("sandbox"),
        token: keyring.seal(&text("pm_card_visa"), [3; 12]),
        accept_total: usd(25_190),
        lines: vec![v1::PricedLine {
            line: id!(LineId, 4),
            sku: id!(SkuId, 2),
            quantity: 2,
            title: text("HP 80"),
            unit_price: Some(usd(12_595)),
        }],
        plan: v1::Sourcing::From(vec![v1::Source { location: text("main"), partition: PartitionId(61), lines: vec![line] }]),
        gathered_at: Millis(1_764_000_000_000),
        hold_ttl_ms: 900_000,
        decide_ms: 3_600_000,
        capture: true,
    }
}

fn address() -> v1::Address {
    v1::Address {
        name: text("Ada"),
        line1: text("1 Row"),
        line2: None,
        city: text("London"),
        region: None,
        postal_code: text("N1"),
        country: text("GB"),
        phone: Some(text("+44")),
    }
}

pub(crate) fn rule() -> v1::search::SearchRule {
    use v1::search::{Banner, Boost, Pin, QueryPattern, SearchRule, Trait};
    let (name, brand) = (text("t_type"), vec![text("HP"), text("Canon")]);
    SearchRule {
        queries: vec![QueryPattern::Is(text("headphones")), QueryPattern::Contains(text("ear buds"))],
        pins: vec![Pin { place: 3, product: id!(ProductId, 8) }],
        hidden: vec![id!(ProductId, 9)],
        boosts: vec![
            Boost { of: Trait::Brand(brand), percent: 50 },
            Boost { of: Trait::Category(vec![text("audio")]), percent: -30 },
            Boost { of: Trait::Price { min: Some(1), max: None }, percent: 1 },
            Boost { of: Trait::Rating { min: None, max: Some(200) }, percent: -400 },
            Boost { of: Trait::Attribute { name: name.clone(), values: vec![text("Original")] }, percent: 2 },
            Boost { of: Trait::AttributeRange { name, min: None, max: Some(56.5) }, percent: 3 },
        ],
        redirect: Some(text("/sale")),
        banner: Some(Banner { text: text("Sale"), url: Some(text("https://shop.example/sale")) }),
        from: Some(Millis(1_764_000_000_000)),
        until: None,
        enabled: true,
    }
}

/// One of every command, in the order of the enum, and answers that came later.
fn commands() -> Vec<(&'static str, Command)> {
    let (hold, order, cart, sku) = (id!(HoldId, 6), id!(OrderId, 7), id!(CartId, 3), id!(SkuId, 2));
    let short = v1::ShortLine { sku, requested: 2, available: 1 };
    let (announcement, transfer) = (id!(AnnouncementId, 12), id!(TransferId, 13));
    vec![
        ("put_product", Command::PutProduct(Box::new(product()))),
        ("delete_product", Command::DeleteProduct { product: id!(ProductId, 8) }),
        ("claim_sku", Command::ClaimSku { key: text("1399-M"), owner: text("1399") }),
        ("finalise_sku", Command::FinaliseSku { key: text("1399-M"), owner: text("1399"), sku }),
        ("release_sku", Command::ReleaseSku { key: text("1399-M"), owner: text("1399"), sku: Some(sku) }),
        ("ensure_category", Command::EnsureCategory { key: text("printers/ink") }),
        ("put_category", Command::PutCategory { key: text("printers/ink"), name: text("Ink"), parent: Some(text("printers")) }),
        ("open_stock", Command::OpenStock { id: 9, sku, location: text("main"), on_hand: 25 }),
        (
            "adjust_stock",
            Command::AdjustStock {
                id: 10,
                sku,
                location: text("main"),
                change: v1::StockChange::CompareAndSet { set: 9, expected: 8 },
                reason: text("count"),
            },
        ),
        ("hold", Command::Hold { hold, order, location: text("main"), lines: vec![v1::HoldLine { sku, quantity: 2 }], ttl_ms: 900_000 }),
        ("pin", Command::Pin { hold }),
        ("commit_hold", Command::CommitHold { hold }),
        ("release_hold", Command::ReleaseHold { hold }),
        ("restock", Command::Restock { hold }),
        ("create_cart", Command::CreateCart { currency: Currency::USD }),
        ("add_line", Command::AddLine { cart, sku, product: id!(ProductId, 8), quantity: 2 }),
        ("set_line_quantity", Command::SetLineQuantity { cart, line: id!(LineId, 4), quantity: 0 }),
        ("set_address", Command::SetAddress { cart, address: Keyring::new(&[1; 32]).seal(&address(), [4; 12]) }),
        ("place_order", Command::PlaceOrder(Box::new(place()))),
        ("resource_order", Command::ResourceOrder { order, attempt: 1, plan: v1::Sourcing::Short(vec![short]) }),
        ("payment_action", Command::PaymentAction { order, outcome: ActionOutcome::Success }),
        ("cancel_order", Command::CancelOrder { order, reason: text("changed my mind") }),
        ("effect_answered", Command::EffectAnswered { effect: id!(EventId, 11), answer: v1::PeerOutcome::Held { remaining: vec![23] } }),
        ("lease_effects", Command::LeaseEffects { effects: vec![id!(EventId, 11)], holder: text("sandbox-1"), ttl_ms: 30_000 }),
        (
            "effect_result",
            Command::EffectResult { effect: id!(EventId, 11), fence: 43, outcome: EffectOutcome::Refused { code: text("card_declined") } },
        ),
        ("run_timers", Command::RunTimers { max: 100 }),
        (
            "reserve",
            Command::Reserve {
                hold,
                owner: order,
                location: text("main"),
                lines: vec![v1::HoldLine { sku, quantity: 2 }],
                ttl_ms: 60_000,
                partial: true,
            },
        ),
        ("commit_reserved", Command::CommitReserved { hold }),
        (
            "commit_reserved_part",
            Command::CommitReservedPart { hold, location: text("main"), lines: vec![v1::HoldLine { sku, quantity: 1 }] },
        ),
        ("extend_reserved", Command::ExtendReserved { hold, ttl_ms: 90_000 }),
        ("release_reserved", Command::ReleaseReserved { hold }),
        ("receive_stock", Command::ReceiveStock { id: 15, location: text("warehouse-7"), lines: vec![v1::HoldLine { sku, quantity: 2 }] }),
        (
            "move_apart",
            Command::MoveApart {
                id: 16,
                sku,
                location: text("main"),
                step: v1::ApartStep::WriteOff,
                why: v1::Unavailable::Quarantine,
                units: 3,
            },
        ),
        (
            "announce_stock",
            Command::AnnounceStock {
                location: text("main"),
                due: Millis(1_764_100_000_000),
                reference: text("ASN-2026-11"),
                lines: vec![v1::HoldLine { sku, quantity: 40 }],
            },
        ),
        ("withdraw_stock", Command::WithdrawStock { id: 17, announcement }),
        (
            "receive_announced",
            Command::ReceiveAnnounced { id: 18, announcement, location: text("main"), lines: vec![v1::HoldLine { sku, quantity: 39 }] },
        ),
        ("send_stock", Command::SendStock { from: text("main"), to: text("shop-12"), lines: vec![v1::HoldLine { sku, quantity: 5 }] }),
        ("arrive_stock", Command::ArriveStock { id: 19, transfer, lines: Some(vec![v1::Arrived { sku, whole: 3, damaged: 1, lost: 1 }]) }),
        ("recall_stock", Command::RecallStock { id: 20, transfer }),
        ("land_stock", Command::LandStock { id: 21, location: text("shop-12"), lines: vec![v1::Landed { sku, whole: 3, damaged: 1 }] }),
        ("forget_landing", Command::ForgetLanding { id: 21 }),
        (
            "set_policy",
            Command::SetPolicy {
                sku,
                location: text("main"),
                policy: v1::BackorderPolicy::Preorder { limit: 50, until: Millis(1_765_000_000_000) },
                low_stock: Some(4),
            },
        ),
        ("set_purchase_limit", Command::SetPurchaseLimit { sku, per_order: Some(2), per_customer: None }),
        (
            "hold_part",
            Command::HoldPart { hold, order, location: text("main"), lines: vec![v1::HoldLine { sku, quantity: 2 }], ttl_ms: 900_000 },
        ),
        (
            "put_search_setting, synonyms",
            Command::PutSearchSetting {
                key: text("tv"),
                setting: v1::search::SearchSetting::Synonyms(v1::search::Synonyms {
                    typed: vec![text("tv")],
                    found: vec![text("television"), text("flat screen")],
                }),
            },
        ),
        (
            "put_search_setting, rule",
            Command::PutSearchSetting { key: text("headphones"), setting: v1::search::SearchSetting::Rule(Box::new(rule())) },
        ),
        (
            "put_search_setting, ranking",
            Command::PutSearchSetting {
                key: text("default"),
                setting: v1::search::SearchSetting::Ranking(v1::search::Ranking { popularity: 20, rating: 10, in_stock: 5 }),
            },
        ),
        ("delete_search_setting", Command::DeleteSearchSetting { kind: v1::search::SearchSettingKind::Rule, key: text("headphones") }),
        ("effect_contended", Command::EffectAnswered { effect: id!(EventId, 11), answer: v1::PeerOutcome::Contended }),
        ("add_node", Command::AddNode { facts: facts() }),
        ("tell_node", Command::TellNode { node: 2, facts: facts() }),
        ("set_node", Command::SetNode { node: 3, standing: v1::cluster::Standing::Draining }),
        ("put_product_with_margin", Command::PutProductWithMargin { content: Box::new(product()), margin: -7 }),
        (
            "put_search_setting, ranking by more",
            Command::PutSearchSetting {
                key: text("default"),
                setting: v1::search::SearchSetting::WiderRanking(v1::search::WiderRanking {
                    others: v1::search::Ranking { popularity: 20, rating: 10, in_stock: 5 },
                    margin: 15,
                    proximity: 8,
                }),
            },
        ),
    ]
}

fn facts() -> v1::cluster::NodeFacts {
    v1::cluster::NodeFacts { name: text("n-2"), address: text("10.0.0.2:7443"), shards: 4, zone: text("b"), region: text("eu") }
}

fn entry(command: Command) -> Entry {
    Entry { idempotency: Some(Idempotency { key: 12, fingerprint: 13 }), if_match: Some(5), trace: 14, command }
}

/// Sixteen bytes a row, as hex and as text.
fn dump(bytes: &[u8]) -> String {
    let row = |(at, row): (usize, &[u8])| {
        let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        format!("  {:04x}  {:<47}  {shown}\n", at * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

#[test]
fn every_command_has_its_bytes() {
    let mut found = String::new();
    let mut bytes = Vec::new();
    for (name, command) in commands() {
        let entry = entry(command);
        encode(&entry, &mut bytes).expect("fixtures are small");
        assert_eq!(decode(&bytes).expect("what was encoded"), entry);
        let mut room = vec![0xa5; bytes.len() + 3];
        assert_eq!(encode_into(&entry, &mut room).map(|len| &room[..len]), Some(&bytes[..]), "{name}: in place as elsewhere");
        let short = bytes.len() - 1;
        assert_eq!(encode_into(&entry, &mut room[..short]), None, "{name}: one byte too few");
        found.push_str(&format!("{name}, {} bytes\n{}", bytes.len(), dump(&bytes)));
    }
    let wanted: expect_test::ExpectFile = expect_file!["fixtures/v1.txt"];
    wanted.assert_eq(&found);
}

/// Of the commands that have a short form, as a client's call makes them; the last one traced.
fn short_entries() -> Vec<(&'static str, Entry)> {
    let has = |name: &str| name == "reserve" || name.ends_with("_reserved") || name == "commit_reserved_part";
    let mut entries: Vec<_> =
        commands().into_iter().filter(|(name, _)| has(name)).map(|(name, command)| (name, Entry::of(command))).collect();
    let traced = entries.iter().find(|(name, _)| *name == "reserve").map(|(_, entry)| Entry { trace: 14, ..entry.clone() });
    entries.push(("reserve, traced", traced.expect("it is there")));
    entries
}

#[test]
fn every_short_form_has_its_bytes() {
    let mut found = String::new();
    let mut bytes = Vec::new();
    for (name, entry) in short_entries() {
        encode(&entry, &mut bytes).expect("fixtures are small");
        assert_eq!(bytes[0], v1::short::FORM, "{name}");
        assert_eq!(decode(&bytes).expect("what was encoded"), entry);
        let mut room = vec![0xa5; bytes.len() + 3];
        assert_eq!(encode_into(&entry, &mut room).map(|len| &room[..len]), Some(&bytes[..]), "{name}: in place as elsewhere");
        for length in 0..bytes.len() {
            assert_eq!(encode_into(&entry, &mut room[..length]), None, "{name}: {length} bytes are too few");
            // Cut at the end of a line it is one with fewer lines; the log's lengths and checksums see to that.
            let lines_left = length.checked_sub(bytes.len() % 20).is_some_and(|lines| lines % 20 == 0) && name != "extend_reserved";
            assert!(lines_left || decode(&bytes[..length]).is_err(), "{name}: cut at {length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(decode(&longer), Err(RecordError::Short { .. })), "{name}: a byte more");
        found.push_str(&format!("{name}, {} bytes\n{}", bytes.len(), dump(&bytes)));
    }
    expect_file!["fixtures/v1-short.txt"].assert_eq(&found);
}

#[test] // What the short form cannot say is archived: nothing is lost by it.
fn an_entry_with_more_to_say_is_archived() {
    let mut bytes = Vec::new();
    for (name, entry) in short_entries() {
        let idempotency = Some(Idempotency { key: 12, fingerprint: 13 });
        for entry in [Entry { idempotency, ..entry.clone() }, Entry { if_match: Some(1), ..entry }] {
            encode(&entry, &mut bytes).expect("fixtures are small");
            assert_eq!((bytes[0], decode(&bytes).expect("what was encoded")), (v1::VERSION, entry), "{name}");
        }
    }
    let far = Command::CommitReservedPart { hold: id!(HoldId, 6), location: "x".repeat(256), lines: Vec::new() };
    encode(&Entry::of(far.clone()), &mut bytes).expect("small");
    assert_eq!((bytes[0], decode(&bytes).expect("what was encoded").command), (v1::VERSION, far), "a location of 256 bytes");
}

#[test] // Each row: a byte of a traced reservation, and what it may not be.
fn what_is_no_short_form_is_said_to_be_none() {
    let (_, entry) = short_entries().pop().expect("the traced one");
    let mut bytes = Vec::new();
    encode(&entry, &mut bytes).expect("small");
    for (at, byte) in [(1, 5), (1, 1), (1, 3), (2, 4), (2, 7), (3, 255), (3, 5), (56, 0xff)] {
        let mut spoiled = bytes.clone();
        spoiled[at] = byte;
        assert!(matches!(decode(&spoiled), Err(RecordError::Short { .. })), "byte {at} as {byte}");
    }
    let mut untraced = bytes.clone();
    untraced[20..36].fill(0);
    assert!(matches!(decode(&untraced), Err(RecordError::Short { .. })), "a trace of zero has no place: one entry, one form");
}

#[test] // A fixture read back from its text is the entry: old bytes stay readable, not only writable.
fn fixtures_read_back() {
    let text = include_str!("fixtures/v1.txt");
    let mut fixtures: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            None => fixtures.push(Vec::new()),
            Some(row) => {
                let hex = &row[6..53];
                let bytes = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits"));
                fixtures.last_mut().expect("a name comes first").extend(bytes);
            }
        }
    }
    let found: Vec<_> = fixtures.iter().map(|bytes| decode(bytes).expect("a fixture")).collect();
    let wanted: Vec<_> = commands().into_iter().map(|(_, command)| entry(command)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn what_is_no_entry_is_said_to_be_none() {
    assert!(matches!(decode(&[]), Err(RecordError::Empty)));
    assert!(matches!(decode(&[9, 0, 0]), Err(RecordError::Version { found: 9 })));
    assert!(matches!(decode(&[v1::VERSION]), Err(RecordError::Invalid(_))));
    let message = RecordError::Version { found: 9 }.to_string();
    let wanted: Expect = expect_test::expect!["record version 9 is newer than this program's 1; start the version that wrote it"];
    wanted.assert_eq(&message);
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut versioned = vec![v1::VERSION];
        versioned.extend_from_slice(&bytes);
        let mut short = bytes.clone();
        short.splice(..0, [v1::short::FORM, bytes.first().copied().unwrap_or(0) % 5]);
        // One entry, one short form: what reads is what would be written.
        if let Ok(entry) = decode(&short) {
            let mut again = Vec::new();
            encode(&entry, &mut again).expect("it was read");
            prop_assert_eq!(again, short);
        }
        for bytes in [&bytes, &versioned] {
            decode(bytes).ok();
        }
    }

    #[test] // Spoiled entries are refused or read as some entry that can be written again.
    fn spoiled_entries_do_not_panic(which in 0usize..commands().len(), spoil in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let mut bytes = Vec::new();
        let (_, command) = commands().swap_remove(which);
        encode(&entry(command), &mut bytes).expect("fixtures are small");
        for (at, byte) in spoil {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(entry) = decode(&bytes) {
            let mut again = Vec::new();
            encode(&entry, &mut again).expect("it was read");
        }
    }
}
