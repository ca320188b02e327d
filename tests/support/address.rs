//! An address on loopback that is one test's own.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// Nobody else is given the address as long as this lives, whether somebody listens there or not: a bound socket that
/// never listens holds it. Servers of other tests run beside this one and take whatever address is free.
pub struct Address {
    pub socket: SocketAddr,
    _held: TcpSocket,
}

impl Address {
    /// Connections are refused until somebody listens.
    pub fn new() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        // With it, whoever is told the address can bind it, too.
        held.set_reuseaddr(true).expect("a socket");
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Self { socket: held.local_addr().expect("an address"), _held: held }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.socket)
    }
}
