//! Whose an address is, wherever something is counted by it.

use std::net::{IpAddr, Ipv6Addr};

/// Whoever has one address of IPv6 has its whole network of 2^64: its first one stands for all.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_network_are_one_household() {
        let of = |address: &str| household(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"), "another network");
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
