//! Whose an address is, wherever something is counted by it.

use std::net::{IpAddr, Ipv6Addr};

/// Whoever has one address of IPv6 has its whole network of 2^64: its first one stands for all.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}
