//! The feed: events of the whole shop, with the cursor that a reader follows them by.
//!
//! An event's `data` has ids, merchant's keys and amounts: what else there is to know is read under them, by those who may.

use super::{Members, Money, Shown, Time};
use crate::http::problem::Problem;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use wire::{EventField, EventId, FeedCursor, Position};

/// A member of an event's `data`.
#[derive(Debug)]
pub(crate) enum Datum {
    Number(u64),
    Change(i64),
    Text(String),
    Amount(Money),
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Change(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Amount(money) => money.serialize(serializer),
        }
    }
}

impl From<EventField> for Datum {
    fn from(field: EventField) -> Self {
        match field {
            EventField::Product(id) => Self::Text(id.to_string()),
            EventField::Sku(id) => Self::Text(id.to_string()),
            EventField::Category(id) => Self::Text(id.to_string()),
            EventField::Cart(id) => Self::Text(id.to_string()),
            EventField::Order(id) => Self::Text(id.to_string()),
            EventField::Payment(id) => Self::Text(id.to_string()),
            EventField::Announcement(id) => Self::Text(id.to_string()),
            EventField::Transfer(id) => Self::Text(id.to_string()),
            EventField::Version(number)
            | EventField::Quantity(number)
            | EventField::QuantityBefore(number)
            | EventField::OnHand(number)
            | EventField::Damaged(number)
            | EventField::Lost(number) => Self::Number(number),
            EventField::Change(number) => Self::Change(number),
            EventField::Amount(money) => Self::Amount(money.into()),
            EventField::Key(text)
            | EventField::Name(text)
            | EventField::Number(text)
            | EventField::Location(text)
            | EventField::To(text)
            | EventField::Reason(text)
            | EventField::Code(text) => Self::Text(text),
        }
    }
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedEvent {
    /// Names it, also after a restart: whoever has seen it can tell.
    #[schema(value_type = String, example = "evt_01kav9ft3v01zg00000000e000")]
    id: Shown<EventId>,
    /// What, such as `order.placed`, `product.updated` or `stock.sold_out`. New ones may come.
    #[schema(value_type = String, example = "order.placed")]
    r#type: &'static str,
    /// When.
    #[schema(value_type = String)]
    at: Time,
    /// The `Log-Position` of the change: a read that sends it as `At-Least` sees it. Several events may have one.
    #[schema(value_type = String, example = "1.7:42")]
    position: Shown<Position>,
    /// Events of one partition are in order; an order's, a cart's or a product's are of one partition.
    partition: u16,
    /// More about it, by its type: ids (`product`, `sku`, `category`, `cart`, `order`, `payment`, `announcement`, `transfer`), the merchant's `key`
    /// and `name`, `number` and `version`, `amount`, `location` and `to`, `quantity`, `quantity_before`, `on_hand`, `change`, `damaged`, `lost`,
    /// `reason`, `code`.
    #[schema(value_type = Object)]
    data: Members<Datum>,
}

impl From<wire::FeedEvent> for FeedEvent {
    fn from(it: wire::FeedEvent) -> Self {
        let data = it.data.into_iter().map(|field| (field.name().to_owned(), field.into())).collect();
        Self {
            id: Shown(it.id),
            r#type: it.kind.word(),
            at: Time(it.at),
            position: Shown(it.position),
            partition: it.position.partition.0,
            data: Members(data),
        }
    }
}

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedList {
    /// None: nothing new yet.
    items: Vec<FeedEvent>,
    /// Where the reader stands: `after` of the next call. Always there, also at the end of what there is.
    next: String,
}

impl From<wire::FeedPage> for FeedList {
    fn from(page: wire::FeedPage) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: cursor_text(&page.next) }
    }
}

impl FeedList {
    /// The cursor to go on from, if it is worth going on at once.
    pub(crate) fn next(&self) -> Option<&str> {
        (!self.items.is_empty()).then_some(&self.next)
    }
}

fn cursor_text(cursor: &FeedCursor) -> String {
    URL_SAFE_NO_PAD.encode(cursor.encode())
}

/// A cursor as this contract writes it.
pub(crate) fn cursor(text: &str) -> Result<FeedCursor, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::bad_cursor())?;
    FeedCursor::decode(&bytes).map_err(|_| Problem::bad_cursor())
}
