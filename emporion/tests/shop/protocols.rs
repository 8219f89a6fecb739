//! The same shop over HTTP/1.1, HTTP/2 and HTTP/3.

use crate::{
    api::Api,
    guest::Guest,
    process::{Folder, Shop},
    several::alone_and_in_a_cluster,
};

alone_and_in_a_cluster! { a_guest_buys_over_every_protocol }

async fn a_guest_buys_over_every_protocol(folder: Folder) {
    let shop = Shop::start(&folder).await;
    shop.api().products(&[("thing", "A thing", 10)]).await;
    let apis = [
        ("HTTP/1.1", Api::http1(&shop.data, shop.listen)),
        ("HTTP/2", Api::http2(&shop.data, shop.listen)),
        ("HTTP/3", Api::http3(&shop.data, shop.listen).await),
    ];
    for (bought, (name, api)) in (1..).zip(&apis) {
        api.get("/readyz").await.expect(200);
        let guest = Guest::with(api, "thing", 1).await;
        let order = guest.pay("pm_card_visa").await.expect(201);
        assert!(order.headers.contains_key("log-position") && order.headers.contains_key("request-id"), "{name}: {:?}", order.headers);
        assert_eq!(api.stock("thing").await["locations"][0]["committed"], bought, "{name}");
    }
}
