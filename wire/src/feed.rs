//! The feed: everything that happened in the shop, in one order per partition, to be followed without a gap.
//!
//! Path: a command is applied → its [`FeedEvent`]s, a pure function of the partition's log → a reader that names where it stands by a
//! [`FeedCursor`] → [`FeedPage`], with the cursor to go on from. Read first: [`EventKind`], then [`FeedPlace`].
//! Bounds: [`FEED_PARTITIONS_MAX`] partitions in one cursor, [`FEED_CURSOR_BYTES_MAX`] bytes of it.
//! Deliberately absent: names, addresses and words of buyers and staff. Events carry ids, merchant's keys and amounts.

use crate::{
    AnnouncementId, CartId, CategoryId, EventId, Millis, Money, OrderId, PartitionId, PaymentId, Position, ProductId, Seq, SkuId,
    TransferId,
};
use rkyv::{Archive, Deserialize, Serialize};

/// Partitions that one reader follows at a time. A shop with more is read in parts, each with a cursor of its own.
pub const FEED_PARTITIONS_MAX: u16 = 512;
/// Bytes of an encoded cursor, at most: in base 64 it fits the query of an HTTP request.
pub const FEED_CURSOR_BYTES_MAX: usize = 16 + PLACE_BYTES_MAX * FEED_PARTITIONS_MAX as usize;
/// Of one partition's place: a seq of 48 bits and a number within its command of 28, both in 7 bits a byte.
const PLACE_BYTES_MAX: usize = 7 + 4;
const SEQ_MAX: u64 = (1 << 48) - 1;
/// Of the number within a command. None has so many events.
const NTH_MAX: u32 = (1 << 28) - 1;
const VERSION: u8 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal;)*) => {
        /// What happened. The number is stored, the word is shown; both are promises.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As stored.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// As shown.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// A product came to be. `product`, `key`, `version`.
    ProductCreated = 1 "product.created";
    /// A product has other content; stock is not content. `product`, `key`, `version`.
    ProductUpdated = 2 "product.updated";
    /// A product is gone. `product`, `key`.
    ProductDeleted = 3 "product.deleted";
    /// A category came to be. `category`, `key`, `name`.
    CategoryCreated = 4 "category.created";
    /// A category has another name. `category`, `key`, `name`.
    CategoryRenamed = 5 "category.renamed";
    /// A setting of the search came to be, or is another. `name`, its kind (`synonyms`, `rule` or `ranking`), `key`, `version`.
    SearchSettingPut = 6 "search_setting.put";
    /// A setting of the search is gone. Likewise.
    SearchSettingDeleted = 7 "search_setting.deleted";

    /// A cart became an order that stands. `cart`, `order`.
    CartOrdered = 16 "cart.ordered";

    /// A checkout began. Events of orders have `order`, `number` and `version`; this one also `cart` and `amount`, the total.
    OrderPlaced = 32 "order.placed";
    /// Stock is committed: the order stands. `amount`, the total.
    OrderOpened = 33 "order.opened";
    /// Somebody asked to call it off.
    OrderCancelRequested = 34 "order.cancel_requested";
    /// Called off, money and stock given back.
    OrderCancelled = 35 "order.cancelled";
    /// The checkout was refused; nothing is charged or held.
    OrderRefused = 36 "order.refused";
    /// The checkout was not decided in time; nothing is charged or held.
    OrderExpired = 37 "order.expired";
    /// A location could not serve its part; another plan is asked for. `location`.
    OrderShort = 38 "order.stock_short";
    /// A location could not serve its part as long as other orders are in doubt. `location`.
    OrderContended = 39 "order.stock_contended";
    /// Units that were pinned for the order are gone; operators must look. `location`.
    OrderStockLost = 40 "order.stock_lost";
    /// A location would not take units back; operators must act. `location`.
    OrderRestockFailed = 41 "order.restock_failed";

    /// The buyer must act before the payment goes on. Events of payments have what those of orders have, `payment` and `amount`.
    PaymentActionRequired = 64 "payment.action_required";
    /// The buyer acted. `code`: `success` or `fail`.
    PaymentActionTaken = 65 "payment.action_taken";
    /// The provider reserved the money.
    PaymentAuthorised = 66 "payment.authorised";
    /// The provider declined. `code`, its word.
    PaymentDeclined = 67 "payment.declined";
    /// The money is taken.
    PaymentCaptured = 68 "payment.captured";
    /// The provider would not give the reserved money; operators must act. `code`.
    PaymentCaptureFailed = 69 "payment.capture_failed";
    /// The reserved money is let go.
    PaymentVoided = 70 "payment.voided";
    /// The provider would not let reserved money go; operators must act. `code`.
    PaymentVoidFailed = 71 "payment.void_failed";
    /// The money is given back.
    PaymentRefunded = 72 "payment.refunded";
    /// The provider would not give money back; operators must act. `code`.
    PaymentRefundFailed = 73 "payment.refund_failed";

    /// What shoppers are told of a SKU at a location is another quantity. `sku`, `location`, `quantity` and `quantity_before`, both at most
    /// [`crate::limits::SHOWN_QUANTITY_MAX`], which stands for that many and more. Holds, reservations and sales are seen by it alone.
    StockChanged = 96 "stock.availability_changed";
    /// The same, and none are left at the location.
    StockSoldOut = 97 "stock.sold_out";
    /// The same, and there were none at the location.
    StockBack = 98 "stock.back_in_stock";
    /// A row was opened, counted or corrected. `sku`, `location`, `change`, `on_hand` after it.
    StockAdjusted = 99 "stock.adjusted";
    /// Units are not for sale any more. `sku`, `location`, `reason`, `quantity`.
    StockSetApart = 100 "stock.set_apart";
    /// Units are for sale again. `sku`, `location`, `reason`, `quantity`.
    StockPutBack = 101 "stock.put_back";
    /// Units that were not for sale are on hand no more. `sku`, `location`, `reason`, `quantity`.
    StockWrittenOff = 102 "stock.written_off";
    /// A supplier says what will come; one event for each SKU. `announcement`, `sku`, `location`, `quantity`.
    StockAnnounced = 103 "stock.announced";
    /// What is left of an announcement will not come. `announcement`, `quantity`.
    StockWithdrawn = 104 "stock.announcement_withdrawn";
    /// Units came in; one event for each SKU. `sku`, `location`, `quantity`, and `announcement` if there was one.
    StockReceived = 105 "stock.received";
    /// Goods left for another location; one event for each SKU. `transfer`, `sku`, `location`, `to`, `quantity`.
    TransferSent = 106 "stock.transfer_sent";
    /// Goods came, or will not; one event for each SKU. `transfer`, `sku`, `location`, `quantity` that came whole, `damaged`, `lost`.
    TransferArrived = 107 "stock.transfer_arrived";
    /// What was left of a transfer returned to where it came from. `transfer`, `quantity`.
    TransferRecalled = 108 "stock.transfer_recalled";
}

impl EventKind {
    /// The kind of a stored number; `None` for one that this version does not know.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// A thing an event says, under the name that [`EventField::name`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum EventField {
    /// `product`
    Product(ProductId),
    /// `sku`
    Sku(SkuId),
    /// `category`
    Category(CategoryId),
    /// `cart`
    Cart(CartId),
    /// `order`
    Order(OrderId),
    /// `payment`
    Payment(PaymentId),
    /// `announcement`
    Announcement(AnnouncementId),
    /// `transfer`
    Transfer(TransferId),
    /// `version`, of the product or the order.
    Version(u64),
    /// `quantity`, units.
    Quantity(u64),
    /// `quantity_before`, units.
    QuantityBefore(u64),
    /// `on_hand`, units.
    OnHand(u64),
    /// `damaged`, units.
    Damaged(u64),
    /// `lost`, units.
    Lost(u64),
    /// `change`, units more, or less.
    Change(i64),
    /// `amount`
    Amount(Money),
    /// `key`, the merchant's.
    Key(String),
    /// `name`
    Name(String),
    /// `number`, the order's, for people.
    Number(String),
    /// `location`, its code.
    Location(String),
    /// `to`, a location's code.
    To(String),
    /// `reason`, a word of [`crate::Unavailable::word`].
    Reason(String),
    /// `code`, a provider's word.
    Code(String),
}

impl EventField {
    /// The name it is shown under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Product(_) => "product",
            Self::Sku(_) => "sku",
            Self::Category(_) => "category",
            Self::Cart(_) => "cart",
            Self::Order(_) => "order",
            Self::Payment(_) => "payment",
            Self::Announcement(_) => "announcement",
            Self::Transfer(_) => "transfer",
            Self::Version(_) => "version",
            Self::Quantity(_) => "quantity",
            Self::QuantityBefore(_) => "quantity_before",
            Self::OnHand(_) => "on_hand",
            Self::Damaged(_) => "damaged",
            Self::Lost(_) => "lost",
            Self::Change(_) => "change",
            Self::Amount(_) => "amount",
            Self::Key(_) => "key",
            Self::Name(_) => "name",
            Self::Number(_) => "number",
            Self::Location(_) => "location",
            Self::To(_) => "to",
            Self::Reason(_) => "reason",
            Self::Code(_) => "code",
        }
    }
}

/// Something that happened, as the feed tells it.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FeedEvent {
    /// Names it: the same in every answer, and after every restart.
    pub id: EventId,
    /// The command that made it.
    pub position: Position,
    /// Which of the command's events it is, from 0.
    pub nth: u32,
    /// When, in log time.
    pub at: Millis,
    /// What.
    pub kind: EventKind,
    /// More about it; each name once.
    pub data: Vec<EventField>,
}

impl FeedEvent {
    /// Where it stands in its partition.
    #[must_use]
    pub const fn place(&self) -> FeedPlace {
        FeedPlace { seq: self.position.seq, nth: self.nth }
    }
}

/// A place in one partition's events: between those before it, which a reader has, and those at it or after, which are new to it.
/// Places compare as the events are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct FeedPlace {
    /// Of the command whose events are read next.
    pub seq: Seq,
    /// How many of them the reader has.
    pub nth: u32,
}

impl FeedPlace {
    /// Right after the event that stands here.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { seq: self.seq, nth: self.nth + 1 }
    }

    /// After all events of a command.
    #[must_use]
    pub const fn behind(seq: Seq) -> Self {
        Self { seq: Seq(seq.0 + 1), nth: 0 }
    }
}

/// Where a reader stands: a place in each partition it follows.
///
/// So it does not depend on which shard has a partition, in what order answers were merged, or on any clock.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FeedCursor {
    /// Of the shop's history. After a restore to an earlier time there is another, and the cursor is of no use.
    pub epoch: u32,
    /// Partitions of the shop.
    pub partitions: u16,
    /// The first of those it follows.
    pub first: PartitionId,
    /// Of this one and those after it, in order; 1..=[`FEED_PARTITIONS_MAX`].
    pub places: Vec<FeedPlace>,
}

/// Bytes that are no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of the feed")]
pub struct FeedCursorError;

impl FeedCursor {
    /// As bytes: version `u8`, then numbers in 7 bits a byte, low bits first: epoch, partitions, first, count, and of each partition
    /// `2 × seq`, or `2 × seq + 1` and the number within the command where that is not 0. One cursor has one form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 5 * self.places.len());
        out.push(VERSION);
        put(&mut out, u64::from(self.epoch));
        put(&mut out, u64::from(self.partitions));
        put(&mut out, u64::from(self.first.0));
        put(&mut out, self.places.len() as u64);
        for place in &self.places {
            let part = u64::from(place.nth > 0);
            put(&mut out, place.seq.0 << 1 | part);
            if part > 0 {
                put(&mut out, u64::from(place.nth));
            }
        }
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// When [`FeedCursor::encode`] does not give them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FeedCursorError> {
        if bytes.len() > FEED_CURSOR_BYTES_MAX {
            return Err(FeedCursorError);
        }
        let [VERSION, rest @ ..] = bytes else { return Err(FeedCursorError) };
        let mut rest = rest;
        let mut take = |max: u64| take(&mut rest).filter(|number| *number <= max).ok_or(FeedCursorError);
        let epoch = take(u64::from(u32::MAX))? as u32;
        let partitions = take(u64::from(u16::MAX))? as u16;
        let first = take(u64::from(u16::MAX))? as u16;
        let count = take(u64::from(FEED_PARTITIONS_MAX))?;
        if count == 0 || u64::from(first) + count > u64::from(partitions) {
            return Err(FeedCursorError);
        }
        let mut places = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let number = take(SEQ_MAX << 1 | 1)?;
            let nth = if number & 1 == 1 {
                take(u64::from(NTH_MAX)).and_then(|nth| if nth > 0 { Ok(nth) } else { Err(FeedCursorError) })?
            } else {
                0
            };
            places.push(FeedPlace { seq: Seq(number >> 1), nth: nth as u32 });
        }
        if rest.is_empty() { Ok(Self { epoch, partitions, first: PartitionId(first), places }) } else { Err(FeedCursorError) }
    }

    /// The place of a partition, if it is among those followed.
    #[must_use]
    pub fn place(&self, partition: PartitionId) -> Option<FeedPlace> {
        let at = partition.0.checked_sub(self.first.0)?;
        self.places.get(usize::from(at)).copied()
    }

    /// The same, to be changed.
    #[must_use]
    pub fn place_mut(&mut self, partition: PartitionId) -> Option<&mut FeedPlace> {
        let at = partition.0.checked_sub(self.first.0)?;
        self.places.get_mut(usize::from(at))
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number in its shortest form, or none.
fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for at in 0..10 {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            let shortest = at == 0 || *byte != 0;
            return (shortest && (at < 9 || *byte <= 1)).then_some(number);
        }
    }
    None
}

/// Where to read from.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum FeedFrom {
    /// The oldest events that are kept, of these partitions; all of them where `count` is 0.
    Oldest {
        /// The first.
        first: PartitionId,
        /// How many.
        count: u16,
    },
    /// Behind the newest, of these partitions: only what happens from now on.
    Latest {
        /// The first.
        first: PartitionId,
        /// How many.
        count: u16,
    },
    /// There.
    After(FeedCursor),
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FeedPage {
    /// Of each partition in its order, those of all partitions by time as far as that goes. None: nothing new yet.
    pub items: Vec<FeedEvent>,
    /// Where the reader stands after this page.
    pub next: FeedCursor,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_words_name_one_kind_each() {
        let codes: BTreeSet<u8> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        let words: BTreeSet<&str> = EventKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!((codes.len(), words.len()), (EventKind::ALL.len(), EventKind::ALL.len()));
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of_code(kind.code()), Some(*kind));
            let well_formed = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(kind.word().split_once('.').is_some_and(|(what, did)| well_formed(what) && well_formed(did)), "{kind:?}");
        }
        assert_eq!(EventKind::of_code(0), None);
    }

    #[test]
    fn a_cursor_of_the_usual_shop_is_short() {
        let places = vec![FeedPlace { seq: Seq(9_000_000), nth: 0 }; 64];
        let usual = FeedCursor { epoch: 1, partitions: 64, first: PartitionId(0), places };
        assert_eq!(usual.encode().len(), 5 + 64 * 4);
        let places = vec![FeedPlace { seq: Seq(SEQ_MAX), nth: NTH_MAX }; usize::from(FEED_PARTITIONS_MAX)];
        let longest = FeedCursor { epoch: u32::MAX, partitions: 4_096, first: PartitionId(3_000), places };
        assert!(longest.encode().len() <= FEED_CURSOR_BYTES_MAX);
        assert_eq!(FeedCursor::decode(&longest.encode()), Ok(longest));
    }

    #[test] // Each row is the hexadecimal form of something that is no cursor.
    fn other_bytes_are_refused() {
        for text in [
            "",
            "01",
            "020140000102",                     // another version
            "0101400000",                       // no partition
            "010140400102",                     // behind the last partition
            "0101400002",                       // cut off
            "010140000102ff",                   // more behind it
            "01014000018200",                   // a number that is longer than it need be
            "010140000103",                     // the number within the command is missing
            "01014000010300",                   // or nothing
            "01014000018180808080808080808000", // longer than any number
        ] {
            let bytes: Vec<u8> = (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("digits")).collect();
            assert_eq!(FeedCursor::decode(&bytes), Err(FeedCursorError), "{text}");
        }
    }

    #[test]
    fn places_are_ordered_as_events_are() {
        let at = |seq, nth| FeedPlace { seq: Seq(seq), nth };
        assert!(at(1, 0) < at(1, 1) && at(1, 9) < at(2, 0) && at(1, 9).next() < FeedPlace::behind(Seq(1)));
    }

    fn any_cursor() -> impl Strategy<Value = FeedCursor> {
        let place = (0..=SEQ_MAX, prop_oneof![Just(0), 0..=NTH_MAX]).prop_map(|(seq, nth)| FeedPlace { seq: Seq(seq), nth });
        (any::<u32>(), 0u16..4_000, prop::collection::vec(place, 1..80)).prop_map(|(epoch, first, places)| FeedCursor {
            epoch,
            partitions: 4_096,
            first: PartitionId(first),
            places,
        })
    }

    proptest! {
        #[test]
        fn cursors_round_trip(cursor in any_cursor()) {
            prop_assert_eq!(FeedCursor::decode(&cursor.encode()), Ok(cursor));
        }

        #[test] // What is read has one form.
        fn bytes_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(cursor) = FeedCursor::decode(&bytes) {
                prop_assert_eq!(cursor.encode(), bytes);
            }
        }
    }
}
