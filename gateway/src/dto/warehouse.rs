//! The warehouse: units not for sale, deliveries, transfers, policies.

use super::{Shown, check::Checks};
use crate::http::{problem::Problem, reference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{
    AnnouncementId, ApartMove, ApartStep, ArrivedGoods, BackorderPolicy, Millis, PurchaseLimit, SkuRef, SkuUnits, StockPolicy, TransferId,
    Unavailable, limits,
};

/// What happens to units that are, or shall be, not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApartAction {
    /// Available units are not for sale any more.
    SetApart,
    /// They are for sale again.
    PutBack,
    /// They are on hand no more.
    WriteOff,
}

/// Why units are not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApartReason {
    /// Broken, spoilt or incomplete.
    Damaged,
    /// Waiting for quality control.
    Quarantine,
    /// Kept back so that the last units are not promised.
    Safety,
    /// Anything else.
    Other,
}

/// A change of what is not for sale.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApartBody {
    /// `sku_…`, or `key=` and the merchant's key.
    pub sku: String,
    /// Location code.
    pub location: String,
    /// Which way.
    pub action: ApartAction,
    /// For what reason they are, or shall be, apart.
    pub reason: ApartReason,
    /// At least 1.
    pub quantity: u32,
}

impl ApartBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<ApartMove, Problem> {
        let mut checks = Checks::default();
        let sku = sku(&mut checks, "/sku", &self.sku);
        let location = checks.key("/location", self.location);
        let quantity = checks.number("/quantity", self.quantity, 1, limits::STOCK_UNITS_MAX);
        let step = match self.action {
            ApartAction::SetApart => ApartStep::SetApart,
            ApartAction::PutBack => ApartStep::PutBack,
            ApartAction::WriteOff => ApartStep::WriteOff,
        };
        let why = match self.reason {
            ApartReason::Damaged => Unavailable::Damaged,
            ApartReason::Quarantine => Unavailable::Quarantine,
            ApartReason::Safety => Unavailable::Safety,
            ApartReason::Other => Unavailable::Other,
        };
        checks.end(ApartMove { sku, location, step, why, quantity })
    }
}

/// Units of a SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitsLine {
    /// `sku_…`, or `key=` and the merchant's key.
    pub sku: String,
    /// At least 1.
    pub quantity: u32,
}

/// What a supplier says will come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnouncementBody {
    /// Location code.
    pub location: String,
    /// When it is expected, RFC 3339.
    #[schema(example = "2026-12-01T08:00:00Z")]
    pub due: String,
    /// The supplier's own name for it.
    #[serde(default)]
    pub reference: String,
    /// 1 to 256, each SKU once.
    pub lines: Vec<UnitsLine>,
}

impl AnnouncementBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<wire::Announcement, Problem> {
        let mut checks = Checks::default();
        let location = checks.key("/location", self.location);
        let due = time(&mut checks, "/due", &self.due);
        let reference = checks.text("/reference", self.reference, 0, limits::REFERENCE_BYTES_MAX);
        let lines = lines(&mut checks, self.lines);
        checks.end(wire::Announcement { location, due, reference, lines })
    }
}

/// What has come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryBody {
    /// Location code; an announcement's own, if there is one.
    pub location: String,
    /// `ann_…` if it was announced. What was announced and did not come stays expected.
    pub announcement: Option<String>,
    /// 1 to 256, each SKU once.
    pub lines: Vec<UnitsLine>,
}

impl DeliveryBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<wire::Delivery, Problem> {
        let mut checks = Checks::default();
        let location = checks.key("/location", self.location);
        let announcement = self.announcement.and_then(|text| {
            let parsed = text.parse().ok();
            if parsed.is_none() {
                checks.wrong("/announcement", "unknown_value", "ann_…");
            }
            parsed
        });
        let lines = lines(&mut checks, self.lines);
        checks.end(wire::Delivery { location, announcement, lines })
    }
}

/// Goods that leave one location for another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// Location code.
    pub from: String,
    /// Another location's code.
    pub to: String,
    /// 1 to 256, each SKU once.
    pub lines: Vec<UnitsLine>,
}

impl TransferBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<wire::Transfer, Problem> {
        let mut checks = Checks::default();
        let (from, to) = (checks.key("/from", self.from), checks.key("/to", self.to));
        if from == to {
            checks.wrong("/to", "same_location", "another location than it leaves");
        }
        let lines = lines(&mut checks, self.lines);
        checks.end(wire::Transfer { from, to, lines })
    }
}

/// What came of the goods of one SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivedLine {
    /// `sku_…`, or `key=` and the merchant's key.
    pub sku: String,
    /// Came whole.
    #[serde(default)]
    pub whole: u32,
    /// Came damaged: not for sale.
    #[serde(default)]
    pub damaged: u32,
    /// Did not come and will not.
    #[serde(default)]
    pub lost: u32,
}

/// Goods of a transfer that have come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivalBody {
    /// 1 to 256, each SKU once; without it all that is left has come, whole.
    pub lines: Option<Vec<ArrivedLine>>,
}

impl ArrivalBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<Option<Vec<ArrivedGoods>>, Problem> {
        let mut checks = Checks::default();
        let lines = self.lines.map(|lines| {
            checks.count("/lines", lines.len(), 1, limits::RESERVE_LINES_MAX);
            let line = |(nth, line): (usize, ArrivedLine)| {
                let sku = sku(&mut checks, &format!("/lines/{nth}/sku"), &line.sku);
                let ArrivedLine { whole, damaged, lost, .. } = line;
                let all = whole.saturating_add(damaged).saturating_add(lost);
                checks.number(&format!("/lines/{nth}"), all, 1, limits::STOCK_UNITS_MAX);
                ArrivedGoods { sku, whole, damaged, lost }
            };
            lines.into_iter().enumerate().map(line).collect()
        });
        checks.end(lines)
    }
}

/// What an operation on goods did.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoodsDone {
    /// `ann_…`, where one was made or met.
    #[schema(value_type = Option<String>)]
    announcement: Option<Shown<AnnouncementId>>,
    /// `trf_…`, where one was made or met.
    #[schema(value_type = Option<String>)]
    transfer: Option<Shown<TransferId>>,
    /// Units announced, withdrawn, received, sent, arrived (whole or damaged) or recalled.
    units: u64,
    /// Units of the announcement or transfer that are still to come. At 0 it is closed.
    left: u64,
    /// Of units received by an announcement, those it did not announce.
    surplus: u64,
    /// Units that arrived and that the destination has not booked yet; it is asked again until it has.
    arriving: u64,
}

impl From<wire::GoodsDone> for GoodsDone {
    fn from(done: wire::GoodsDone) -> Self {
        let wire::GoodsDone { announcement, transfer, units, left, surplus, arriving } = done;
        Self { announcement: announcement.map(Shown), transfer: transfer.map(Shown), units, left, surplus, arriving }
    }
}

/// What a row may promise beyond what it has.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackorderBody {
    /// Units that may be owed at once.
    pub limit: u32,
    /// A preorder: until then, RFC 3339. A backorder without.
    #[serde(default, deserialize_with = "some_time")]
    #[schema(value_type = Option<String>, example = "2026-12-01T08:00:00Z")]
    pub until: Option<Millis>,
}

fn some_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let parsed = text.map(|text| instant(&text).ok_or_else(|| serde::de::Error::custom("a time of RFC 3339, since 1970")));
    parsed.transpose()
}

/// What a row may promise, and when it tells that little is left. Replaces both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// Without it only what is available is sold.
    pub backorder: Option<BackorderBody>,
    /// An event is told when available units fall to this, and when there are some again; without it, never.
    pub low_stock: Option<u32>,
}

impl PolicyBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self, sku: SkuRef, location: String) -> Result<StockPolicy, Problem> {
        let mut checks = Checks::default();
        let location = checks.key("/location", location);
        let backorder = match self.backorder {
            None => BackorderPolicy::Deny,
            Some(BackorderBody { limit, until }) => {
                let limit = checks.number("/backorder/limit", limit, 1, limits::STOCK_UNITS_MAX);
                until.map_or(BackorderPolicy::Backorder { limit }, |until| BackorderPolicy::Preorder { limit, until })
            }
        };
        let low_stock = self.low_stock.map(|low| checks.number("/low_stock", low, 0, limits::STOCK_UNITS_MAX));
        checks.end(StockPolicy { sku, location, backorder, low_stock })
    }
}

/// How many units of a SKU may be reserved. Replaces both; without either there is no limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurchaseLimitBody {
    /// By one reservation, or by one order at one location.
    pub per_order: Option<u32>,
    /// By all reservations of one owner that are open, or were sold within a day.
    pub per_customer: Option<u32>,
}

impl From<PurchaseLimitBody> for PurchaseLimit {
    fn from(body: PurchaseLimitBody) -> Self {
        Self { per_order: body.per_order, per_customer: body.per_customer }
    }
}

/// What a check of all stock found.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockCheck {
    /// Nothing is wrong.
    pub ok: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Holds that are neither committed nor ended.
    pub open_holds: u64,
    /// The first thing of each shard that does not fit, in words: row, column, what it is and what the books say.
    pub broken: Vec<String>,
}

fn sku(checks: &mut Checks, pointer: &str, text: &str) -> SkuRef {
    reference::sku(text).unwrap_or_else(|| {
        checks.wrong(pointer, "unknown_value", "sku_… or key=MERCHANT-KEY");
        SkuRef::Key(String::new())
    })
}

fn lines(checks: &mut Checks, lines: Vec<UnitsLine>) -> Vec<SkuUnits> {
    checks.count("/lines", lines.len(), 1, limits::RESERVE_LINES_MAX);
    let line = |(nth, line): (usize, UnitsLine)| SkuUnits {
        sku: sku(checks, &format!("/lines/{nth}/sku"), &line.sku),
        quantity: checks.number(&format!("/lines/{nth}/quantity"), line.quantity, 1, limits::STOCK_UNITS_MAX),
    };
    lines.into_iter().enumerate().map(line).collect()
}

pub(crate) fn time(checks: &mut Checks, pointer: &str, text: &str) -> Millis {
    instant(text).unwrap_or_else(|| {
        checks.wrong(pointer, "unknown_value", "a time of RFC 3339, since 1970");
        Millis(0)
    })
}

fn instant(text: &str) -> Option<Millis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Millis)
}
