//! Catalog: what is written (`…Input`) and what is read (`…View`).

use crate::{Availability, CategoryId, Money, ProductId, SkuId};
use rkyv::{Archive, Deserialize, Serialize};

/// A product by its id or by the merchant's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum ProductRef {
    /// `prod_…`
    Id(ProductId),
    /// The merchant's product key.
    Key(String),
}

/// A variant by its id or by the merchant's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum SkuRef {
    /// `sku_…`
    Id(SkuId),
    /// The merchant's SKU key.
    Key(String),
}

/// A category by its id or by the merchant's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum CategoryRef {
    /// `cat_…`
    Id(CategoryId),
    /// The merchant's category key.
    Key(String),
}

/// Is the product for sale?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum ProductStatus {
    /// Being prepared: not found by shoppers.
    Draft,
    /// For sale.
    #[default]
    Active,
    /// Withdrawn: kept for old orders, not found by shoppers.
    Archived,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Prose: searched by its words.
    Text(String),
    /// A word matched as a whole.
    Keyword(String),
    /// A measure; never money.
    Number(f64),
    /// A flag.
    Bool(bool),
}

/// A named attribute; names are unique within a product.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Attribute {
    /// Such as `t_colour`.
    pub name: String,
    /// Its value.
    pub value: AttributeValue,
}

/// A picture of a product.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Image {
    /// Where it is served.
    pub url: String,
    /// What it shows, in words.
    pub alt: String,
}

/// A choice that tells a variant from its siblings, such as size = M.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OptionChoice {
    /// Option group.
    pub name: String,
    /// What this variant has.
    pub value: String,
}

/// A variant as the merchant writes it.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct VariantInput {
    /// The merchant's SKU key, unique in the shop.
    pub key: String,
    /// Choices in the merchant's order.
    pub options: Vec<OptionChoice>,
    /// At most one price a currency.
    pub prices: Vec<Money>,
    /// GTIN, EAN, UPC and the like.
    pub barcodes: Vec<String>,
}

/// Stock for a row that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OpeningStock {
    /// SKU key of a variant of the same product.
    pub variant: String,
    /// Location code.
    pub location: String,
    /// Units on hand.
    pub on_hand: u32,
}

/// A product as the merchant writes it; written again under the same key it replaces what was there.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct ProductInput {
    /// The merchant's product key.
    pub key: String,
    /// Name shown to shoppers.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// Maker.
    pub brand: Option<String>,
    /// Key of a category, its path with `/`; made when missing.
    pub category: Option<String>,
    /// In the merchant's order.
    pub attributes: Vec<Attribute>,
    /// In the order shown.
    pub images: Vec<Image>,
    /// At least one.
    pub variants: Vec<VariantInput>,
    /// Only for rows that do not exist yet.
    pub stock: Vec<OpeningStock>,
    /// Higher sells better; any scale.
    pub popularity: i64,
    /// Days since 1970-01-01, for "newest".
    pub released: Option<i32>,
    /// Draft, active or archived.
    pub status: ProductStatus,
    /// Hundredths of its price that the shop earns by it, at most [`crate::limits::MARGIN_PERCENT_MAX`] either way; `None` if nobody says.
    pub margin: Option<i8>,
}

/// A category as the merchant writes it.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CategoryInput {
    /// Unique in the shop, such as `printers/ink`.
    pub key: String,
    /// Name shown to shoppers.
    pub name: String,
    /// Key of the parent; `None` for a root.
    pub parent: Option<String>,
}

/// A category on the way from the root to a product.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CategoryCrumb {
    /// `cat_…`
    pub id: CategoryId,
    /// The merchant's key.
    pub key: String,
    /// Name shown to shoppers.
    pub name: String,
}

/// A category with its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CategoryView {
    /// `cat_…`
    pub id: CategoryId,
    /// Rises with each change.
    pub version: u64,
    /// The merchant's key.
    pub key: String,
    /// Name shown to shoppers.
    pub name: String,
    /// From the root to the parent.
    pub breadcrumb: Vec<CategoryCrumb>,
    /// The parent; `None` for a root.
    pub parent: Option<CategoryId>,
    /// Active products in it and below.
    pub products: u64,
}

/// A variant as shoppers see it.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct VariantView {
    /// `sku_…`
    pub id: SkuId,
    /// The merchant's SKU key.
    pub key: String,
    /// Choices in the merchant's order.
    pub options: Vec<OptionChoice>,
    /// The first price, or the shop's currency if there is one.
    pub price: Option<Money>,
    /// All of them.
    pub prices: Vec<Money>,
    /// GTIN, EAN, UPC and the like.
    pub barcodes: Vec<String>,
    /// Live.
    pub availability: Availability,
}

/// A product as shoppers see it.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct ProductView {
    /// `prod_…`
    pub id: ProductId,
    /// The merchant's key.
    pub key: String,
    /// Rises with each change; availability does not count.
    pub version: u64,
    /// Draft, active or archived.
    pub status: ProductStatus,
    /// Name.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// Maker.
    pub brand: Option<String>,
    /// From the root.
    pub category: Vec<CategoryCrumb>,
    /// In the merchant's order.
    pub attributes: Vec<Attribute>,
    /// In the order shown.
    pub images: Vec<Image>,
    /// In the merchant's order.
    pub variants: Vec<VariantView>,
    /// Higher sells better.
    pub popularity: i64,
    /// Days since 1970-01-01.
    pub released: Option<i32>,
    /// Hundredths of its price that the shop earns by it, for those who write products; to everybody else `None`.
    pub margin: Option<i8>,
}

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Upserted {
    /// It was not there.
    Created,
    /// It was there and is different.
    Updated,
    /// It was there, just like this.
    Unchanged,
}
