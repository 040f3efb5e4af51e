//! Where a server is, as users write it: `host:port`, `[::1]:port`, `http://host:port`,
//! `https://host:port`, `unix:/path` or `unix-abstract:name`.

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::code::Code;
use crate::error::ClientError;

/// What a server behind a Unix socket is called.
pub(crate) const LOCAL: &str = "localhost";

/// A server's address that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As messages name it: `host:port` or `unix:/path`.
    pub(crate) name: String,
    /// As the transport wants it.
    pub(crate) uri: String,
    /// What the user wrote before it; `None`: nothing, so that the channel says.
    pub(crate) secure: Option<bool>,
}

impl Address {
    /// Understands what the user wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(text, path);
        }
        if let Some(name) = text.strip_prefix("unix-abstract:") {
            return Self::unix(text, &format!("@{name}"));
        }
        let (secure, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Some(true), rest),
            (None, Some(rest)) => (Some(false), rest),
            (None, None) => (None, text),
        };
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        if let Some(port) = impossible_port(plain) {
            let why = format!("the port {port:?} is not one of 1 to 65535");
            return Err(refuse(text, &why));
        }
        let Ok(authority) = plain.parse::<Authority>() else {
            return Err(refuse(text, WANTED));
        };
        if plain.contains('@') || authority.host().is_empty() {
            return Err(refuse(text, WANTED));
        }
        if authority.port_u16().is_none() {
            return Err(refuse(text, "it has no port; write host:port"));
        }
        let name = authority.to_string();
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(authority)
            .path_and_query("/")
            .build()
            .map_err(|_| refuse(text, WANTED))?;
        Ok(Self {
            name,
            uri: uri.to_string(),
            secure,
        })
    }

    /// The path of a Unix socket as the system takes it; `None`: it is a host and a port.
    pub(crate) fn unix_path(&self) -> Option<&str> {
        self.uri.strip_prefix("unix:")
    }

    /// The host without its port and brackets; what a server behind a Unix socket is
    /// called.
    pub(crate) fn host(&self) -> &str {
        if self.unix_path().is_some() {
            return LOCAL;
        }
        let host = self.name.rsplit_once(':').map_or("", |(host, _port)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    fn unix(text: &str, path: &str) -> Result<Self, ClientError> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.trim_start_matches('@').is_empty() {
            return Err(refuse(text, "it has no path; write unix:/path"));
        }
        let (name, path) = match path.strip_prefix('@') {
            // A zero is how the kernel tells a name of the abstract namespace from a path.
            Some(name) => (format!("unix-abstract:{name}"), format!("\0{name}")),
            None => (format!("unix:{path}"), path.to_owned()),
        };
        Ok(Self {
            uri: format!("unix:{path}"),
            name,
            secure: None,
        })
    }
}

/// What stands where the port should, if it is no port. The parser of URIs drops such a
/// port, or the whole address, without a word about it.
fn impossible_port(plain: &str) -> Option<&str> {
    let (host, port) = match plain.rsplit_once(']') {
        Some((host, rest)) => (host, rest.strip_prefix(':')?),
        None => plain.rsplit_once(':')?,
    };
    // An IPv6 address without brackets, and a path, are other mistakes.
    let other_mistake = port.is_empty() || port.contains('/') || host.is_empty();
    let possible = port.parse::<u16>().is_ok_and(|port| port > 0);
    (!other_mistake && !possible && (plain.contains(']') || !host.contains(':'))).then_some(port)
}

const WANTED: &str = "write host:port, [IPv6 address]:port or unix:/path";

fn refuse(text: &str, why: &str) -> ClientError {
    ClientError::local(
        Code::InvalidArgument,
        format!("{text:?} is not an address of a server: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn understands_the_ways_to_write_one() {
        for (text, name, uri) in [
            (
                "localhost:50051",
                "localhost:50051",
                "http://localhost:50051/",
            ),
            ("http://10.0.0.1:80/", "10.0.0.1:80", "http://10.0.0.1:80/"),
            ("[::1]:8500", "[::1]:8500", "http://[::1]:8500/"),
            (
                "unix:/run/tw.sock",
                "unix:/run/tw.sock",
                "unix:/run/tw.sock",
            ),
            (
                "unix:///run/tw.sock",
                "unix:/run/tw.sock",
                "unix:/run/tw.sock",
            ),
            ("unix-abstract:tw", "unix-abstract:tw", "unix:\0tw"),
            ("unix:@tw", "unix-abstract:tw", "unix:\0tw"),
            ("https://tw.test:443", "tw.test:443", "http://tw.test:443/"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.name.as_str(), address.uri.as_str()), (name, uri));
        }
    }

    #[test]
    fn the_host_is_what_a_certificate_names() {
        for (text, host) in [
            ("tw.test:443", "tw.test"),
            ("https://10.0.0.1:443/", "10.0.0.1"),
            ("[::1]:8500", "::1"),
            ("unix:/run/tw.sock", "localhost"),
        ] {
            assert_eq!(Address::parse(text).unwrap().host(), host);
        }
    }

    #[test]
    fn a_port_that_is_none_is_named() {
        for (text, port) in [
            ("localhost:99999", "99999"),
            ("localhost:0", "0"),
            ("localhost:-1", "-1"),
            ("localhost:abc", "abc"),
            ("http://localhost:70000/", "70000"),
            ("[::1]:65536", "65536"),
        ] {
            let error = Address::parse(text).unwrap_err();
            let why = format!("the port {port:?} is not one of 1 to 65535");
            assert!(error.message().ends_with(&why), "{error}");
        }
        for text in ["localhost", "localhost:", "[::1]", "[::1]:"] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.message().contains("no port"), "{error}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "localhost:http",
            ":50051",
            "a b:1",
            "user@host:1",
            "host:1/path",
            "https://host",
            "unix:@",
            "::1:50051",
            "unix:",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(
                error.message().starts_with(&format!("{text:?} is not")),
                "{error}"
            );
        }
    }
}
