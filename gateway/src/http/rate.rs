//! Requests a second from one address: GCRA, by `governor`, over a bounded table.

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
};
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

/// Addresses remembered. Those at rest are forgotten first; while that is not enough, addresses are counted by their network
/// (IPv4 /16, IPv6 /32), of which there are few.
pub(crate) const ADDRESSES_MAX: usize = 100_000;
/// Checks between two looks at the table's size; it overshoots by this many at most.
const LOOK_EVERY: u32 = 256;

/// Whom a limit counts: an IPv4 address, or an IPv6 /64, since one customer commonly has that many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    V4(u32),
    V6(u64),
    Network4(u16),
    Network6(u32),
}

impl Payer {
    pub(crate) fn of(address: IpAddr, by_network: bool) -> Self {
        match (address.to_canonical(), by_network) {
            (IpAddr::V4(v4), false) => Self::V4(v4.to_bits()),
            (IpAddr::V4(v4), true) => Self::Network4((v4.to_bits() >> 16) as u16),
            (IpAddr::V6(v6), false) => Self::V6((v6.to_bits() >> 64) as u64),
            (IpAddr::V6(v6), true) => Self::Network6((v6.to_bits() >> 96) as u32),
        }
    }
}

/// What the limiter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on; so many more at once.
    Pass { remaining: u32 },
    /// Come back after so many milliseconds.
    Wait { ms: u32 },
}

/// Counts requests by address.
pub(crate) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<Payer, StateInformationMiddleware>,
    clock: DefaultClock,
    checks: AtomicU32,
    full: AtomicBool,
    addresses_max: usize,
}

impl RateLimit {
    /// `per_second` for each address, as many at once; `None` for 0, which means no limit.
    pub(crate) fn new(per_second: u32) -> Option<Self> {
        Self::bounded(per_second, ADDRESSES_MAX)
    }

    fn bounded(per_second: u32, addresses_max: usize) -> Option<Self> {
        let quota = Quota::per_second(NonZeroU32::new(per_second)?);
        let limiter = RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>();
        let (checks, full) = (AtomicU32::new(0), AtomicBool::new(false));
        Some(Self { limiter, clock: DefaultClock::default(), checks, full, addresses_max })
    }

    /// Counts one request of `address`.
    pub(crate) fn check(&self, address: IpAddr) -> Verdict {
        // Relaxed, both: a look too early or too late changes nothing but the moment of forgetting.
        if self.checks.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.look();
        }
        match self.limiter.check_key(&Payer::of(address, self.full.load(Ordering::Relaxed))) {
            Ok(state) => Verdict::Pass { remaining: state.remaining_burst_capacity() },
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Verdict::Wait { ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1) }
            }
        }
    }

    fn look(&self) {
        if self.limiter.len() >= self.addresses_max {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.full.store(self.limiter.len() >= self.addresses_max, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn each_address_has_its_own_allowance() {
        assert!(RateLimit::new(0).is_none(), "0 is no limit");
        let limit = RateLimit::new(5).expect("not 0");
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let passed = (0..20).filter(|_| matches!(limit.check(one), Verdict::Pass { .. })).count();
        assert!((5..=7).contains(&passed), "{passed} of 20 passed");
        assert!(matches!(limit.check(one), Verdict::Wait { ms: 1..=250 }));
        assert!(matches!(limit.check(other), Verdict::Pass { remaining: 4 }));
        assert!(matches!(limit.check(IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped())), Verdict::Wait { .. }), "the same address");
    }

    #[test]
    fn one_ipv6_network_is_one_payer() {
        let limit = RateLimit::new(5).expect("not 0");
        let at = |low: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low));
        let passed = (0..20).filter(|low| matches!(limit.check(at(*low)), Verdict::Pass { .. })).count();
        assert!((5..=7).contains(&passed), "{passed} of 20 passed");
    }

    #[test]
    fn the_table_is_bounded() {
        let limit = RateLimit::bounded(1, 500).expect("not 0");
        for n in 0..50_000u32 {
            limit.check(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)));
        }
        assert!(limit.limiter.len() <= 500 + LOOK_EVERY as usize + 2, "{} addresses remembered", limit.limiter.len());
    }
}
