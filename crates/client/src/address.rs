//! Where a server is, as users write it: `host:port`, `[::1]:port`, `http://host:port`
//! or `unix:/path`.

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::error::ClientError;

/// A server's address that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As messages name it: `host:port` or `unix:/path`.
    pub(crate) name: String,
    /// As the transport wants it.
    pub(crate) uri: String,
}

impl Address {
    /// Understands what the user wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(text, path);
        }
        if text.starts_with("https://") {
            return Err(refuse(
                text,
                "TLS is not supported yet; use http:// or host:port",
            ));
        }
        let plain = text.strip_prefix("http://").unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        let Ok(authority) = plain.parse::<Authority>() else {
            return Err(refuse(text, WANTED));
        };
        if plain.contains('@') || authority.host().is_empty() {
            return Err(refuse(text, WANTED));
        }
        match authority.port_u16() {
            Some(1..) => {}
            _ if authority.port().is_some() => {
                return Err(refuse(text, "the port must be a number from 1 to 65535"));
            }
            _ => return Err(refuse(text, "it has no port; write host:port")),
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
        })
    }

    fn unix(text: &str, path: &str) -> Result<Self, ClientError> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(refuse(text, "it has no path; write unix:/path"));
        }
        let name = format!("unix:{path}");
        Ok(Self {
            uri: name.clone(),
            name,
        })
    }
}

const WANTED: &str = "write host:port, [IPv6 address]:port or unix:/path";

fn refuse(text: &str, why: &str) -> ClientError {
    ClientError::local(
        tonic::Code::InvalidArgument,
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
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.name.as_str(), address.uri.as_str()), (name, uri));
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
            "https://host:1",
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
