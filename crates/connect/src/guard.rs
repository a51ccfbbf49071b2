//! Which addresses the server may be told to send something to.
//!
//! Whoever configures a channel names an address, and the server stands inside
//! the house: without a guard the name could be that of a database or of the
//! cloud's metadata service. The guard looks at the addresses a name resolves
//! to, and the connection is made to exactly these, so that a name which
//! resolves differently a moment later gains nothing.

use hyper_util::client::legacy::connect::dns::Name;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::Service;

/// Where messages may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only to addresses of the public internet.
    Public,
    /// Anywhere: somebody said so by name.
    Anywhere,
}

/// The address is not one of the public internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Private {
    /// The name that was asked for.
    pub host: String,
    /// What it stands for.
    pub address: IpAddr,
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is {}, which is not an address of the public internet",
            self.host, self.address
        )
    }
}

impl std::error::Error for Private {}

impl Reach {
    /// True if this address may be dialled.
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }

    /// The addresses of a name, all of them allowed.
    ///
    /// # Errors
    /// The name has none, or one that is not allowed ([`Private`] inside).
    pub async fn resolve(self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((bare, port)).await?.collect(),
        };
        // One bad address is enough to refuse: the name is not what it seems.
        if let Some(bad) = found.iter().find(|found| !self.allows(found.ip())) {
            let private = Private { host: host.to_owned(), address: bad.ip() };
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, private));
        }
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }
}

/// A resolver that refuses; for names, since addresses written as numbers are
/// never looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guarded(pub(crate) Reach);

impl Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move { Ok(reach.resolve(name.as_str(), 0).await?.into_iter()) })
    }
}

/// True for what the IANA registries call globally reachable, as far as a
/// sender of messages is concerned.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (b == 18 || b == 19);
    let relay = a == 192 && b == 88 && c == 99;
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || protocol
        || benchmark
        || relay)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let as_v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    // NAT64 and 6to4 carry an IPv4 address that counts instead.
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        return as_v4(g, h);
    }
    if a == 0x2002 {
        return as_v4(b, c);
    }
    let documentation = a == 0x2001 && b == 0xdb8 || a == 0x3fff;
    let special = a == 0x2001 && b < 0x200;
    // 2000::/3 is all that has been given out.
    a & 0xe000 == 0x2000 && !documentation && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
        ] {
            let address: IpAddr = private.parse().unwrap();
            assert!(!Reach::Public.allows(address), "{private}");
            assert!(Reach::Anywhere.allows(address), "{private}");
        }
        for public in ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(Reach::Public.allows(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_that_stands_for_the_house_is_refused() {
        let refused = Reach::Public.resolve("localhost", 80).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        for written in ["127.0.0.1", "[::1]", "::1"] {
            assert!(Reach::Public.resolve(written, 80).await.is_err(), "{written}");
            assert!(Reach::Anywhere.resolve(written, 80).await.is_ok(), "{written}");
        }
    }
}
