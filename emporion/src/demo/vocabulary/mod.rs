//! The words of the demo catalog: departments, kinds of products, invented brands. No brand here is a real one by intention.
//!
//! To add a kind: one more row in `technology`, `house`, `outside` or `leisure`. Its first feature goes into titles; prices are in cents.

mod house;
mod leisure;
mod outside;
mod technology;

/// A department: a root of the category tree.
pub(in crate::demo) struct Department {
    /// Its key.
    pub(in crate::demo) key: &'static str,
    /// Its name.
    pub(in crate::demo) name: &'static str,
}

/// A kind of product: a leaf of the category tree, and how its products are.
pub(in crate::demo) struct Kind {
    /// Key of its department.
    pub(in crate::demo) department: &'static str,
    /// The rest of its key.
    pub(in crate::demo) slug: &'static str,
    /// Its name.
    pub(in crate::demo) name: &'static str,
    /// What its products are called.
    pub(in crate::demo) nouns: &'static [&'static str],
    /// Who makes them.
    pub(in crate::demo) brands: &'static [&'static str],
    /// Cheapest and dearest, in cents.
    pub(in crate::demo) price: (u64, u64),
    /// What they differ in, the most telling one first.
    pub(in crate::demo) features: &'static [Feature],
    /// What they are for.
    pub(in crate::demo) uses: &'static [&'static str],
    /// What variants differ in.
    pub(in crate::demo) options: Option<Options>,
}

/// Option groups and their values.
pub(in crate::demo) type Options = &'static [(&'static str, &'static [&'static str])];

/// Something products of a kind differ in.
pub(in crate::demo) enum Feature {
    /// Name, words.
    Word(&'static str, &'static [&'static str]),
    /// Name, amounts, unit.
    Amount(&'static str, &'static [f64], &'static str),
    /// Name, and how it is said with and without it.
    Maybe(&'static str, &'static str, &'static str),
}

impl Kind {
    /// Key of its category.
    pub(in crate::demo) fn category(&self) -> String {
        format!("{}/{}", self.department, self.slug)
    }
}

pub(in crate::demo) const DEPARTMENTS: &[Department] = &[
    Department { key: "audio", name: "Audio & Headphones" },
    Department { key: "computing", name: "Computers & Office" },
    Department { key: "home", name: "Home & Living" },
    Department { key: "kitchen", name: "Kitchen & Dining" },
    Department { key: "outdoor", name: "Outdoor & Travel" },
    Department { key: "sport", name: "Sport & Fitness" },
    Department { key: "fashion", name: "Clothing & Shoes" },
    Department { key: "toys", name: "Toys & Games" },
    Department { key: "garden", name: "Garden & Tools" },
    Department { key: "books", name: "Books & Stationery" },
];

const TECH: &[&str] = &["Norvane", "Audelis", "Kestrion", "Lumetra", "Pyxel & Co", "Quorra", "Sonvik", "Tessaro", "Vantory", "Zephra"];
const HOME: &[&str] = &["Aldermoor", "Brisk & Oak", "Casa Livela", "Fjordhem", "Hollin", "Marrowby", "Ostrelle", "Tarnwick"];
const KITCHEN: &[&str] = &["Bellacotta", "Cuvelle", "Ember & Salt", "Granmoor", "Hearthline", "Mirepoix Works", "Ondine", "Saltmarsh"];
const OUTDOOR: &[&str] = &["Arktand", "Bracken Ridge", "Cairnfell", "Drift North", "Keld", "Summerlin", "Torvane", "Wildmark"];
const FASHION: &[&str] = &["Avenlea", "Cotter & Wren", "Dunmore", "Halden", "Lisle Street", "Nordaune", "Perrin", "Solvei"];
const TOYS: &[&str] = &["Brindle Bear", "Kobold", "Little Larch", "Mimbo", "Pegwood", "Tumblewick"];
const TOOLS: &[&str] = &["Ashgrove", "Ferrolan", "Grundwerk", "Oakhaft", "Stronghollow", "Tilth"];
const PAPER: &[&str] = &["Inkwell Row", "Larkspur Press", "Margin & Ruled", "Papeterie Noor", "Quill House", "Verso"];

const COLOUR_NAMES: &[&str] = &["Black", "White", "Graphite", "Navy", "Sand", "Forest Green", "Brick Red", "Sky Blue"];
const COLOURS: Options = &[("colour", COLOUR_NAMES)];
const SIZES_COLOURS: Options = &[("size", &["XS", "S", "M", "L", "XL", "XXL"]), ("colour", COLOUR_NAMES)];
const SHOE_SIZES: Options = &[("size", &["36", "37", "38", "39", "40", "41", "42", "43", "44", "45", "46"])];
const STORAGE: Options = &[("storage", &["256 GB", "512 GB", "1 TB", "2 TB"])];
const BED_SIZES: Options = &[("size", &["Single", "Double", "King", "Super King"])];

/// Names of product lines.
pub(in crate::demo) const LINES: &[&str] = &[
    "Alba", "Arden", "Aster", "Aura", "Basalt", "Beacon", "Birch", "Borealis", "Canyon", "Cirrus", "Clover", "Comet", "Coral", "Delta",
    "Dune", "Echo", "Elm", "Ember", "Fable", "Fathom", "Fern", "Flint", "Glade", "Halo", "Harbor", "Heron", "Indigo", "Iris", "Juniper",
    "Kite", "Lark", "Linden", "Loft", "Lumen", "Maple", "Meridian", "Mistral", "Nimbus", "Nova", "Onyx", "Orbit", "Orchard", "Osprey",
    "Pebble", "Pine", "Prairie", "Quartz", "Raven", "Reef", "River", "Sable", "Sierra", "Slate", "Solace", "Sparrow", "Summit", "Tempo",
    "Terra", "Thistle", "Tidal", "Umber", "Vale", "Vesper", "Willow", "Wren", "Zenith",
];

/// How a description begins; `{brand}`, `{noun}` and `{use}` are filled in.
pub(in crate::demo) const OPENINGS: &[&str] = &[
    "{brand} made this {noun} for {use}.",
    "A {noun} for {use}, designed by {brand}.",
    "Made with {use} in mind, this {noun} does one thing well.",
    "For {use}, and for everyone who is tired of replacing a {noun} every year.",
    "{brand} has been refining this {noun} for years; {use} is where it shines.",
];

/// How a description ends.
pub(in crate::demo) const CLOSINGS: &[&str] = &[
    "Parts can be replaced and are kept in stock for ten years.",
    "Packed without plastic.",
    "Two years of warranty, and a manual that people read.",
    "Tested by people who use it every day.",
    "It ages well.",
    "Made in small series.",
    "Easy to clean, easy to repair, easy to like.",
];

/// All kinds, always in the same order.
pub(in crate::demo) fn kinds() -> impl Iterator<Item = &'static Kind> {
    [technology::KINDS, house::KINDS, outside::KINDS, leisure::KINDS].into_iter().flatten()
}
