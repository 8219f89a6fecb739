//! A network between two ends that can be cut, and lead somewhere else: as when a machine dies, or comes back under its address.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};
use tokio::{net::UdpSocket, task::spawn_local};

/// Datagrams sent to its address go to another, and answers come back. Of the thread of its test.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    state: Rc<State>,
}

struct State {
    to: Cell<SocketAddr>,
    open: Cell<bool>,
    /// Sockets towards the other side, by who speaks on this one.
    out: RefCell<HashMap<SocketAddr, Rc<UdpSocket>>>,
}

impl Relay {
    pub(super) async fn to(address: SocketAddr) -> Self {
        let here = Rc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port"));
        let state = Rc::new(State { to: Cell::new(address), open: Cell::new(true), out: RefCell::default() });
        let relay = Self { address: here.local_addr().expect("bound"), state: Rc::clone(&state) };
        spawn_local(async move {
            let mut bytes = vec![0; 65_536];
            while let Ok((length, from)) = here.recv_from(&mut bytes).await {
                let known = state.out.borrow().get(&from).cloned();
                let out = match known {
                    Some(out) => out,
                    None => {
                        let out = Rc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port"));
                        state.out.borrow_mut().insert(from, Rc::clone(&out));
                        spawn_local(back(Rc::clone(&state), Rc::clone(&out), Rc::clone(&here), from));
                        out
                    }
                };
                if state.open.get() {
                    let _ = out.send_to(&bytes[..length], state.to.get()).await; // as a network: it may be lost
                }
            }
        });
        relay
    }

    /// Loses everything from now on, both ways.
    pub(super) fn cut(&self) {
        self.state.open.set(false);
    }

    /// Leads to another address from now on.
    pub(super) fn lead(&self, address: SocketAddr) {
        self.state.to.set(address);
        self.state.open.set(true);
    }
}

async fn back(state: Rc<State>, out: Rc<UdpSocket>, here: Rc<UdpSocket>, to: SocketAddr) {
    let mut bytes = vec![0; 65_536];
    loop {
        match out.recv_from(&mut bytes).await {
            Ok((length, from)) if state.open.get() && from == state.to.get() => {
                let _ = here.send_to(&bytes[..length], to).await; // as above
            }
            // Nobody listens there just now (ICMP), or what is said comes from where nobody leads any more.
            Ok(_) | Err(_) => {}
        }
    }
}
