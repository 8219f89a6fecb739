//! Someone who looks around: product pages, searches, availability, stock and orders.
//!
//! A read sees every write that was answered before it was asked, and what it sees fits what was written.

use super::{Ask, Errand, Said, Scene, Step, request, staff_asks};
use crate::sim::checks::{Violation, must};
use wire::{Body, Failure, Op, Principal, ProductRef, Refusal, SearchQuery, SkuRef, limits};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Page,
    Search,
    Availability,
    Stock,
    Orders,
    Suggest,
}

pub(super) struct Reader {
    looks: Vec<Look>,
    product: usize,
    /// What was known of it when this was asked first.
    version: u64,
}

impl Reader {
    pub(super) fn draw(scene: Scene<'_>) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let all = [Look::Page, Look::Page, Look::Search, Look::Search, Look::Availability, Look::Stock, Look::Orders, Look::Suggest];
        let looks = (0..random.between(2, 4)).map(|_| random.pick(&all)).collect();
        Self { looks, product: random.place(story.products.len()), version: 0 }
    }
}

impl Errand for Reader {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        let Some(look) = self.looks.last() else { return Step::Home };
        let story = &scene.story.products[self.product];
        self.version = story.version;
        let key = || SkuRef::Key(story.key.clone());
        let op = match look {
            Look::Page => Op::GetProduct(ProductRef::Key(story.key.clone())),
            Look::Search => Op::Search(SearchQuery { text: story.word.clone(), limit: 20, ..SearchQuery::default() }),
            Look::Availability => Op::GetAvailability(vec![key()]),
            Look::Stock => return Step::Ask(Ask { request: staff_asks(Op::GetStock(key()), None), hold: None }),
            Look::Orders => {
                return Step::Ask(Ask { request: staff_asks(Op::ListOrders { status: None, limit: 5, after: None }, None), hold: None });
            }
            Look::Suggest => Op::Suggest { text: story.word[..4].to_owned(), limit: 5 },
        };
        Step::Ask(Ask { request: request(Principal::Anonymous, op, None), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        let Some(look) = self.looks.pop() else { return Ok(()) };
        let story_is_spread = scene.story.machines > 1;
        let story = &mut scene.story.products[self.product];
        let odd = || format!("{look:?} of {} at version {} is answered {:?}", story.key, self.version, said.response.result);
        match (look, &said.response.result) {
            (Look::Page, Ok(Body::Product(page))) => {
                must(page.version >= self.version, odd)?;
                let price = page.variants.first().and_then(|variant| variant.price).map(|price| price.amount);
                let written = story.prices.get(&page.version);
                must(written.is_none_or(|written| Some(*written) == price), odd)?;
                story.version = story.version.max(page.version);
                Ok(())
            }
            (Look::Search, Ok(Body::Search(found))) => {
                let is_there = found.items.iter().any(|hit| hit.key == story.key);
                // A shard that stands still is not waited for, and a node that follows may be behind.
                must(is_there || found.partial || self.version == 0 || story_is_spread, odd)
            }
            (Look::Availability, Ok(Body::Availability(of))) => {
                must(of.len() == 1 && of[0].availability.quantity <= limits::SHOWN_QUANTITY_MAX, odd)
            }
            (Look::Stock, Ok(Body::Stock(view))) => must(view.key == story.key, odd),
            (Look::Orders, Ok(Body::Orders(orders))) => must(orders.windows(2).all(|pair| pair[0].id > pair[1].id), odd),
            (Look::Suggest, Ok(Body::Suggestions(_))) => Ok(()),
            (Look::Page | Look::Availability | Look::Stock, Err(Failure::Refused(Refusal::NotFound))) => {
                must(self.version == 0 || (look == Look::Availability && story_is_spread), odd)
            }
            (_, _) => Err(Violation::new(odd())),
        }
    }
}
