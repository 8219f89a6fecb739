//! Question: how long is a start of an index that was saved, beside one that indexes every document again, and how large are the files?
//!
//! Products are generated: a title of 7 words, a description of 40, a model and a barcode of their own, a brand of 2,000, one of 700 paths of 3
//! categories, 8 attributes. `cargo bench -p search-index --bench start -- 1000000`; without a number, 100,000. One core; CPU time.
//! Documents are made before the clock starts: where the caller keeps its products, it also pays for turning each into a document when indexing anew,
//! and for its stamp when loading. The loaded index is checked: it has every document, and answers as the other does.

mod draw;

use std::time::Duration;

use draw::{Draw, SEED, word};
use search_index::{
    AttributeValue, Columns, Current, DocKey, Document, FacetField, FacetRequest, Index, Language, Query, Saved, Saving, Settings,
};

/// As the engine takes them.
const BLOCK_BYTES: usize = 8 * 1024;

fn product(key: u64) -> Document {
    let mut draw = Draw(SEED ^ (key + 1).wrapping_mul(0xff51_afd7_ed55_8ccd));
    let top = draw.skewed(12);
    let (middle, leaf) = (top * 8 + draw.skewed(8), draw.skewed(8));
    let attributes = (0..8).map(|n| {
        let value = match n {
            0..4 => AttributeValue::Text(word(draw.skewed(64))),
            4..6 => AttributeValue::Number(draw.skewed(500) as f64),
            6 => AttributeValue::Bool(draw.below(2) == 1),
            _ => AttributeValue::Text(draw.text(4)),
        };
        (format!("{}{n}", word(leaf + 8 * (n % 3))), value)
    });
    let attributes = attributes.collect();
    Document {
        stamp: key + 1,
        title: draw.text(7),
        description: draw.text(40),
        model: format!("{}-{}", word(draw.below(1 << 12)), draw.below(10_000)),
        keywords: format!("SKU{key} {:013}", draw.below(10_u64.pow(13))),
        brand: Some(word(draw.skewed(2_000))),
        category: vec![format!("c{top}"), format!("c{top}/{middle}"), format!("c{top}/{middle}/{leaf}")],
        price: Some(draw.below(200_000) as i64),
        popularity: draw.below(1_000) as i64,
        released: draw.below(5_000) as i64,
        attributes,
        ..Document::new(DocKey(key))
    }
}

/// Time this thread has been on a core, so that a busy machine changes the figures little.
fn on_core() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel that counts it");
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first field is a number"))
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = on_core();
    let done = what();
    (done, on_core() - start)
}

/// The bytes of every segment, and how long each step took by the clock, in order of length.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn save(index: &Index) -> (Vec<Vec<u8>>, Vec<Duration>) {
    let mut steps = Vec::new();
    let files = index.segments().map(|segment| {
        let (mut file, mut block) = (Vec::new(), Vec::new());
        let mut save = index.save(segment.id).expect("it is there");
        loop {
            // The kernel counts time on a core in ticks, too coarse for one step.
            let start = std::time::Instant::now();
            let step = index.save_step(&mut save, &mut block, BLOCK_BYTES);
            steps.push(start.elapsed());
            file.append(&mut block);
            match step {
                Saving::More => {}
                Saving::Done => return file,
                Saving::Gone => unreachable!("nothing merges meanwhile"),
            }
        }
    });
    let files = files.collect();
    steps.sort_unstable();
    (files, steps)
}

fn measure(documents: u64) {
    println!("{documents} products, one core");
    let (products, spent) = timed(|| (0..documents).map(product).collect::<Vec<_>>());
    println!("  generated in {:.2} s", spent.as_secs_f64());
    let (index, spent) = timed(|| {
        let mut index = Index::new(Settings::default());
        index.extend(products.iter().cloned()).expect("within bounds");
        index
    });
    let mut index = index;
    let layout = index.layout();
    println!("  indexed anew in {:.2} s: {} segments of {} MB", spent.as_secs_f64(), layout.segments, layout.segment_bytes / 1_000_000);
    let ((), spent) = timed(|| while index.maintain(2_000) {});
    println!("  merged in {:.2} s: {} segments", spent.as_secs_f64(), index.layout().segments);

    let ((files, steps), spent) = timed(|| save(&index));
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("  saved in {:.2} s: {} files of {} MB", spent.as_secs_f64(), files.len(), bytes / 1_000_000);
    let at = |part: usize| steps[(steps.len() - 1) * part / 1_000].as_micros();
    println!("  {} steps by the clock: p50 {} µs, p99 {} µs, longest {} µs", steps.len(), at(500), at(990), at(1_000));

    let (saved, spent) =
        timed(|| files.iter().map(|file| Saved::decode(file, Language::English, |_, _| true).expect("as written")).collect::<Vec<_>>());
    println!("  read in {:.2} s", spent.as_secs_f64());
    let (mut loaded, spent) = timed(|| {
        let mut loaded = Index::new(Settings::default());
        for saved in saved {
            loaded.adopt(saved, |key| {
                let product = &products[key.0 as usize];
                let columns =
                    Columns { price: product.price, rating: product.rating, popularity: product.popularity, margin: product.margin };
                Some(Current { stamp: product.stamp, columns })
            });
        }
        loaded
    });
    println!("  adopted in {:.2} s", spent.as_secs_f64());

    assert_eq!(loaded.len(), products.len());
    let field = |name: FacetField| FacetRequest::new(name, 10);
    for n in 0..50 {
        let text = products[n * products.len() / 50].title.split(' ').take(1 + n % 3).collect::<Vec<_>>().join(" ");
        let facets = vec![field(FacetField::Brand), field(FacetField::Category), field(FacetField::Attribute(format!("{}1", word(8))))];
        let query = Query { text: Some(text.clone()), facets, total: true, ..Query::default() };
        let (wanted, found) = (index.search(&query, None).expect("within bounds"), loaded.search(&query, None).expect("within bounds"));
        let keys = |hits: &[search_index::Hit]| hits.iter().map(|hit| (hit.key, hit.score.to_bits())).collect::<Vec<_>>();
        assert_eq!((keys(&wanted.hits), wanted.total, &wanted.facets), (keys(&found.hits), found.total, &found.facets), "{text}");
        assert_eq!(index.suggest(&text, 10), loaded.suggest(&text, 10), "{text}");
    }
    assert!(!loaded.maintain(1), "it was saved tidy");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    // `cargo test` runs benches once with this.
    let smoke = std::env::args().any(|argument| argument == "--test");
    let documents = arguments.find_map(|argument| argument.parse().ok());
    measure(documents.unwrap_or(if smoke { 2_000 } else { 100_000 }));
}
