//! A shard's endpoint on a glommio executor, called from tokio as gateways do.

use super::*;
use std::{cell::Cell, future::pending, net::Ipv4Addr, sync::atomic::AtomicUsize, thread::JoinHandle};
use wire::frame::Lane;
use wire::quic::{
    Answer, DevCa, Handled, Identity, NodeLink, Part, QuicClient, client_config, node_config, node_link::NodePeer, server::LocalTask,
    server_config,
};
use wire::{Body, CallError, Client, Millis, Op, Principal, Request, Response, ShardId, Suggestions};

/// How the executor's main task ends.
#[derive(Clone, Copy)]
enum End {
    /// Clients get their answers first.
    Leave,
    /// As after a fault: nothing is closed.
    Abrupt,
}

struct Shard {
    address: SocketAddr,
    client: quinn::ClientConfig,
    end: flume::Sender<End>,
    thread: JoinHandle<()>,
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Unfinished(Arc<AtomicUsize>, Cell<bool>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.1.get() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Says back a suggestion's text, never answers `hang`, and is done with anything else.
async fn answer(request: Request, unfinished: Unfinished) -> Response {
    let body = match request.op {
        Op::Suggest { text, .. } if text == "hang" => pending().await,
        Op::Suggest { text, .. } if text == "slow" => {
            Timer::new(Duration::from_millis(200)).await;
            Body::Done
        }
        Op::Suggest { text, .. } => Body::Suggestions(Suggestions { completions: vec![text], ..Suggestions::default() }),
        _ => Body::Done,
    };
    unfinished.1.set(true);
    Response { positions: Vec::new(), replayed: false, result: Ok(body) }
}

fn start() -> Shard {
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = Millis(since.as_millis() as u64);
    let ca = DevCa::generate(now).expect("randomness");
    let issue = |part| ca.issue(&Identity::new(part, "test").expect("a name"), now).expect("randomness");
    let tls = server_config(ca.certificate_pem(), &issue(Part::Engine)).expect("our own PEM");
    let client = client_config(ca.certificate_pem(), &issue(Part::Gateway)).expect("our own PEM");
    let (begun, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (counters, (end, ended), (tell, told)) = ((Arc::clone(&begun), Arc::clone(&dropped)), flume::bounded(1), flume::bounded(1));
    let thread = std::thread::spawn(move || {
        glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound)
            .spin_before_park(Duration::from_micros(50))
            .make()
            .expect("an executor: io_uring and 512 KiB of locked memory")
            .run(async move {
                let queue = glommio::executor().create_task_queue(glommio::Shares::default(), glommio::Latency::NotImportant, "link");
                let topology = Topology { partitions: 64, shards: 1 };
                let listening = Listen { address: (Ipv4Addr::LOCALHOST, 0).into(), tls, topology, shard: ShardId(0), queue: Some(queue) };
                let spawn = move |task| drop(glommio::spawn_local_into(task, queue).expect("its queue").detach());
                let service = Handled::new(spawn, move |_, request: Request| {
                    counters.0.fetch_add(1, Ordering::SeqCst);
                    answer(request, Unfinished(Arc::clone(&counters.1), Cell::new(false)))
                });
                let (server, address) = listen(listening, service).expect("a port");
                tell.send(address).expect("a test");
                match ended.recv_async().await.expect("a test") {
                    End::Leave => leave(server, Duration::from_secs(5)).await,
                    End::Abrupt => {}
                }
            });
    });
    Shard { address: told.recv().expect("listening"), client, end, thread, begun, dropped }
}

impl Shard {
    async fn connect(&self) -> QuicClient {
        QuicClient::connect(self.address, self.client.clone()).await.expect("let in")
    }

    /// Ends the executor; fails if it does not end, or panics.
    async fn end(self, end: End) -> Arc<AtomicUsize> {
        self.end.send(end).expect("an executor");
        tokio::task::spawn_blocking(move || self.thread.join().expect("no panic")).await.expect("no panic");
        self.dropped
    }
}

fn suggest(text: &str) -> Request {
    Request { principal: Principal::Anonymous, ..Request::system(Op::Suggest { text: text.into(), limit: 0 }) }
}

fn done() -> Result<Response, CallError> {
    Ok(Response { positions: Vec::new(), replayed: false, result: Ok(Body::Done) })
}

async fn eventually(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_are_answered() {
    let shard = start();
    let client = shard.connect().await;
    for _ in 0..5 {
        let request = Request { principal: Principal::Anonymous, ..Request::system(Op::ListCategories) };
        let calls: Vec<_> = (0..1_000).map(|_| tokio::spawn(client.call(request.clone()))).collect();
        for call in calls {
            assert_eq!(call.await.expect("no panic"), done());
        }
    }
    drop(client);
    shard.end(End::Leave).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_both_ways() {
    let shard = start();
    let client = shard.connect().await;
    let calls: Vec<_> = (0..40u8)
        .map(|n| {
            let text = char::from(b'0' + n).to_string().repeat(500 * 1024);
            (text.clone(), tokio::spawn(client.call(suggest(&text))))
        })
        .collect();
    for (text, call) in calls {
        match call.await.expect("no panic").expect("an answer").result {
            Ok(Body::Suggestions(suggestions)) => assert!(suggestions.completions == [text], "other text"),
            other => panic!("{other:?}"),
        }
    }
    drop(client);
    shard.end(End::Leave).await;
}

#[tokio::test]
async fn handlers_end_when_their_client_is_gone() {
    let shard = start();
    let client = shard.connect().await;
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.call(suggest("hang")))).collect();
    eventually("begun", || shard.begun.load(Ordering::SeqCst) == 10).await;
    calls[0].abort();
    eventually("one taken back", || shard.dropped.load(Ordering::SeqCst) == 1).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(client);
    eventually("all gone", || shard.dropped.load(Ordering::SeqCst) == 10).await;
    shard.end(End::Leave).await;
}

#[tokio::test]
async fn leaving_answers_what_is_under_way_and_ends_the_executor() {
    let shard = start();
    let client = shard.connect().await;
    let (slow, begun) = (tokio::spawn(client.call(suggest("slow"))), Arc::clone(&shard.begun));
    eventually("begun", || begun.load(Ordering::SeqCst) == 1).await;
    #[expect(clippy::disallowed_methods, reason = "the test is about how long it takes")]
    let since = Instant::now();
    shard.end(End::Leave).await;
    assert!(since.elapsed() < Duration::from_secs(4), "it did not wait for the limit");
    assert_eq!(slow.await.expect("no panic"), done());
    let late = client.call(Request { timeout_ms: 100, ..suggest("a") }).await;
    assert!(matches!(late, Err(CallError::Unreachable(_))), "{late:?}");
}

#[tokio::test]
async fn an_executor_that_just_ends_drops_everything_without_a_panic() {
    let shard = start();
    let client = shard.connect().await;
    let call = tokio::spawn(client.call(suggest("hang")));
    eventually("begun", || shard.begun.load(Ordering::SeqCst) == 1).await;
    shard.end(End::Abrupt).await;
    call.abort();
}

#[test]
fn what_is_dropped_on_another_thread_is_leaked() {
    let value = Rc::new(Cell::new(1));
    let homes = (Home::new(Rc::clone(&value)), Home::new(Rc::clone(&value)));
    std::thread::spawn(move || drop(homes.0)).join().expect("no panic");
    assert_eq!(Rc::strong_count(&value), 3, "leaked, and not touched");
    drop(homes.1);
    assert_eq!(Rc::strong_count(&value), 2, "dropped at home");
}

#[test]
fn a_full_socket_is_tried_again_after_a_pause() {
    glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound).make().expect("an executor").run(async {
        let socket = Arc::new(Socket::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).expect("set up"));
        let mut writable = Arc::clone(&socket).create_io_poller();
        let mut wait = async || {
            #[expect(clippy::disallowed_methods, reason = "the test is about how long it takes")]
            let since = Instant::now();
            let mut pending = false;
            std::future::poll_fn(|cx| {
                let poll = writable.as_mut().poll_writable(cx);
                pending |= poll.is_pending();
                poll
            })
            .await
            .expect("never an error");
            (pending, since.elapsed())
        };
        assert!(!wait().await.0, "room at first");
        for blocked in 1..=3u32 {
            socket.blocked.store(blocked, Ordering::Relaxed);
            let (pending, waited) = wait().await;
            assert!(pending && waited >= BLOCKED_MIN * (1 << (blocked - 1)), "{waited:?} after {blocked}");
            assert!(!wait().await.0, "its turn stays until it has tried");
        }
        socket.blocked.store(0, Ordering::Relaxed);
        assert!(!wait().await.0, "room again");
    });
}

/// Keeps what other nodes say.
struct Ear(Rc<RefCell<Vec<Vec<u8>>>>);

impl Service for Ear {
    type Call = ();

    fn call(&self, _identity: &Identity, _request: Request, _answer: Answer) {}

    fn cancel(&self, (): ()) {}

    fn node(&self, _identity: &Identity, body: Vec<u8>) {
        self.0.borrow_mut().push(body);
    }
}

#[test]
fn nodes_hear_each_other_from_the_sockets_they_listen_on() {
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = Millis(since.as_millis() as u64);
    let ca = DevCa::generate(now).expect("randomness");
    let identity = |name| Identity::new(Part::Engine, name).expect("a name");
    let executor = glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound).make().expect("io_uring and locked memory");
    executor.run(async move {
        let node = |name| {
            let credentials = ca.issue(&identity(name), now).expect("randomness");
            let tls = server_config(ca.certificate_pem(), &credentials).expect("our own PEM");
            let topology = Topology { partitions: 64, shards: 1 };
            let listening = Listen { address: (Ipv4Addr::LOCALHOST, 0).into(), tls, topology, shard: ShardId(0), queue: None };
            let heard = Rc::<RefCell<Vec<Vec<u8>>>>::default();
            let (server, address) = listen(listening, Ear(Rc::clone(&heard))).expect("a port");
            (server, address, heard, node_config(ca.certificate_pem(), &credentials).expect("our own PEM"))
        };
        let (one, two) = (node("one"), node("two"));
        let link = |(server, _, _, config): &(Listening, SocketAddr, _, quinn::ClientConfig), address, name| {
            let peer = NodePeer { address, shard: ShardId(0), identity: identity(name) };
            let spawn = |task| drop(glommio::spawn_local(task).detach());
            let sleep = |after| -> LocalTask {
                Box::pin(async move {
                    Timer::new(after).await;
                })
            };
            NodeLink::new(server.server.endpoint(), config.clone(), peer, spawn, sleep)
        };
        let links = [link(&one, two.1, "two"), link(&two, one.1, "one")];
        let until = async |reached: &dyn Fn() -> bool| {
            for _ in 0..5_000 {
                if reached() {
                    return;
                }
                Timer::new(Duration::from_millis(1)).await;
            }
            panic!("never");
        };
        until(&|| links.iter().all(NodeLink::is_up)).await;
        for link in &links {
            (0..4).for_each(|n| link.send(Lane::Bulk, vec![n; 1 << 20]));
            (0..100).for_each(|n| link.send(Lane::Urgent, vec![n; 60]));
        }
        for (_, _, heard, _) in [&one, &two] {
            until(&|| heard.borrow().len() == 104).await;
            let bulk: Vec<u8> = heard.borrow().iter().filter(|body| body.len() > 60).map(|body| body[0]).collect();
            assert_eq!(bulk, [0, 1, 2, 3]);
        }
        drop(links);
        // The links' tasks let go of the sockets.
        let gone = [one.0.socket.clone(), two.0.socket.clone()];
        leave(one.0, Duration::from_secs(1)).await;
        leave(two.0, Duration::from_secs(1)).await;
        assert!(gone.iter().all(|socket| socket.strong_count() == 0), "a socket is still in use");
    });
}
