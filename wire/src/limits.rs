//! Bounds on what one request or entity may hold. The gateway refuses more with a pointer to the field; the engine refuses again.

/// Bytes of a merchant's own key (product, SKU, category, location).
pub const KEY_BYTES_MAX: usize = 200;
/// Bytes of a title or a name.
pub const TITLE_BYTES_MAX: usize = 2_048;
/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 65_536;
/// Attributes of a product.
pub const ATTRIBUTES_MAX: usize = 512;
/// Bytes of an attribute's name.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 200;
/// Bytes of a text attribute's value.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Variants of a product.
pub const VARIANTS_MAX: usize = 2_000;
/// Prices of a variant.
pub const PRICES_MAX: usize = 100;
/// Barcodes of a variant.
pub const BARCODES_MAX: usize = 256;
/// Bytes of a barcode.
pub const BARCODE_BYTES_MAX: usize = 64;
/// Images of a product.
pub const IMAGES_MAX: usize = 100;
/// Bytes of an image's address or text.
pub const IMAGE_BYTES_MAX: usize = 2_048;
/// Options of a variant.
pub const OPTIONS_MAX: usize = 16;
/// Distinct options of a product's variants that it is found and counted by; further ones are only shown.
pub const OPTIONS_INDEXED_MAX: usize = 512;
/// Depth of a category in the tree.
pub const CATEGORY_DEPTH_MAX: usize = 16;
/// Categories of a shop.
pub const CATEGORIES_MAX: usize = 50_000;
/// Highest price, total or payment in minor units: a million lines of it still fit 64 bits.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// Lines of a cart; one more is refused.
pub const CART_LINES_MAX: usize = 200;
/// Units of one cart line.
pub const LINE_QUANTITY_MAX: u32 = 100_000;
/// Units of one stock row.
pub const STOCK_UNITS_MAX: u32 = 1_000_000_000;
/// Bytes of one field of an address.
pub const ADDRESS_FIELD_BYTES_MAX: usize = 200;
/// Bytes of an email address (RFC 5321).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of a payment token.
pub const PAYMENT_TOKEN_BYTES_MAX: usize = 255;
/// Entries of one page of a list.
pub const PAGE_MAX: u16 = 100;
/// SKUs in one request for availability.
pub const STOCK_QUERY_SKUS_MAX: usize = 100;
/// Longest a checkout waits for its outcome, in milliseconds.
pub const CHECKOUT_WAIT_MS_MAX: u32 = 30_000;
/// What is shown of a quantity: more is shown as this, with `quantity_is_cap`.
pub const SHOWN_QUANTITY_MAX: u32 = 10;
/// Bytes of a search text.
pub const QUERY_BYTES_MAX: usize = 512;
/// Filters of a search.
pub const FILTERS_MAX: usize = 32;
/// Values in one filter.
pub const FILTER_VALUES_MAX: usize = 100;
/// Facets of a search.
pub const FACETS_MAX: usize = 20;
/// Facets of a search whose values are looked for.
pub const FACET_QUERIES_MAX: usize = 8;
/// Bytes typed to find values of a facet.
pub const FACET_QUERY_BYTES_MAX: usize = 256;
/// Rules of synonyms.
pub const SYNONYMS_MAX: usize = 10_000;
/// Ways to say a thing in one rule of synonyms, typed or found.
pub const SYNONYM_WAYS_MAX: usize = 32;
/// Words of one way to say a thing.
pub const SYNONYM_WORDS_MAX: usize = 4;
/// Rules for queries.
pub const SEARCH_RULES_MAX: usize = 1_000;
/// Queries that one rule is for.
pub const RULE_QUERIES_MAX: usize = 32;
/// Products that one rule pins.
pub const RULE_PINS_MAX: usize = 20;
/// Products that one rule hides.
pub const RULE_HIDDEN_MAX: usize = 100;
/// Boosts of one rule.
pub const RULE_BOOSTS_MAX: usize = 16;
/// Bytes of all values in the filters of one rule's boosts: a page of rules fits one answer.
pub const RULE_FILTER_BYTES_MAX: usize = 32 << 10;
/// Hundredths by which something is boosted, either way.
pub const BOOST_PERCENT_MAX: i16 = 400;
/// Hundredths of what two words weigh that they get for standing side by side in a title at most.
pub const PROXIMITY_PERCENT_MAX: u16 = 100;
/// Hundredths of its price that a product's margin is at most, and below nothing at worst.
pub const MARGIN_PERCENT_MAX: i8 = 100;
/// A query so often searched for is suggested to others.
pub const POPULAR_SEARCHES_MIN: u64 = 5;
/// Preferences of one search.
pub const PREFERENCES_MAX: usize = 8;
/// Bytes of a banner's text.
pub const BANNER_BYTES_MAX: usize = 1_024;
/// Bytes of an address that a rule leads to.
pub const URL_BYTES_MAX: usize = 2_048;

/// Lines of a reservation, a delivery or a transfer.
pub const RESERVE_LINES_MAX: usize = 256;
/// Longest life of a reservation that is not committed, milliseconds (an hour).
pub const RESERVE_TTL_MS_MAX: u32 = 60 * 60 * 1_000;
/// A reservation's id is good for so long from the time it carries, milliseconds (ten minutes).
pub const RESERVATION_WINDOW_MS: u64 = 10 * 60 * 1_000;
/// Bytes of a supplier's own name for a delivery.
pub const REFERENCE_BYTES_MAX: usize = 200;
/// Announced deliveries shown of one stock row, the earliest; and as many transfers on their way to it.
pub const ARRIVALS_SHOWN_MAX: usize = 100;
/// Records of a history looked at for one page: a page of one location among many may be shorter than asked for and have more after it.
pub const HISTORY_SCAN_MAX: usize = 4_096;
