//! The HTTP/2 head of a request: gRPC's headers, and what is sent along.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};

use crate::address::{Address, LOCAL};
use crate::code::Code;
use crate::error::ClientError;
use crate::metadata::UserMetadata;
use crate::request::Request as Call;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// The largest number that the timeout's eight digits hold.
const MOST: u128 = 99_999_999;

/// Makes the heads of requests to one address.
pub(crate) struct Heads {
    scheme: Scheme,
    authority: Authority,
    user_agent: HeaderValue,
}

impl Heads {
    /// `secure`: the connection speaks TLS.
    pub(crate) fn new(
        address: &Address,
        user_agent: &str,
        secure: bool,
    ) -> Result<Self, ClientError> {
        let invalid = |what: &str| {
            let message = format!("cannot set up a connection to {}: {what}", address.name);
            ClientError::local(Code::InvalidArgument, message)
        };
        let authority = match address.unix_path() {
            Some(_) => LOCAL,
            None => &address.name,
        };
        let user_agent = format!("{user_agent} grpc-tensorwire/{}", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            scheme: if secure { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority
                .parse()
                .map_err(|_| invalid("its name can't be sent"))?,
            user_agent: user_agent
                .trim_start()
                .parse()
                .map_err(|_| invalid("the user agent must be printable ASCII"))?,
        })
    }

    /// For a call that has `left` of its time.
    pub(crate) fn head(
        &self,
        call: &Call,
        metadata: &UserMetadata,
        left: Option<Duration>,
    ) -> Request<()> {
        // Room for gRPC's own and a few of the user's without growing.
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(TE, TRAILERS);
        headers.insert(CONTENT_TYPE, GRPC);
        headers.insert(USER_AGENT, self.user_agent.clone());
        for (key, value) in &metadata.0 {
            headers.append(key.clone(), value.clone());
        }
        if let Some((key, value)) = &call.header {
            // What the user says himself has precedence.
            headers.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if let Some(left) = left {
            headers.insert(GRPC_TIMEOUT, grpc_timeout(left));
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri(call.method.path());
        *request.headers_mut() = headers;
        request
    }

    fn uri(&self, path: &'static str) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        // All three are there, so that they always make one.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// At most eight digits and a unit, in the finest unit that has room for it.
fn grpc_timeout(left: Duration) -> HeaderValue {
    let nanos = left.as_nanos();
    let (number, unit) = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
    ]
    .into_iter()
    .map(|(size, unit)| (nanos / size, unit))
    .find(|(number, _)| *number <= MOST)
    .unwrap_or(((nanos / 3_600_000_000_000).min(MOST), 'H'));
    // Digits and a letter can't be refused.
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("0n"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Heads, grpc_timeout};
    use crate::address::Address;
    use crate::metadata::{MetadataValue, UserMetadata};
    use crate::request::Request;

    #[test]
    fn timeouts_have_eight_digits() {
        for (duration, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666666M"),
            (Duration::from_secs(100_000_000_000), "27777777H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(grpc_timeout(duration), text);
        }
    }

    #[test]
    fn what_a_head_has() {
        let address = Address::parse("[::1]:8500").unwrap();
        let heads = Heads::new(&address, "test", false).unwrap();
        let metadata = UserMetadata::new([
            ("team".to_owned(), MetadataValue::Text("a".to_owned())),
            ("model".to_owned(), MetadataValue::Text("mine".to_owned())),
            ("team".to_owned(), MetadataValue::Text("b".to_owned())),
        ])
        .unwrap();
        let call = Request::text("hello", Some("other")).unwrap();
        let head = heads.head(&call, &metadata, Some(Duration::from_secs(1)));
        let uri = "http://[::1]:8500/prediction_service.PredictionService/Predict";
        assert_eq!(head.uri(), uri);
        let headers = head.headers();
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-timeout"], "1000000u");
        assert_eq!(headers["model"], "mine");
        assert_eq!(headers.get_all("team").iter().count(), 2);
        assert!(headers["user-agent"].to_str().unwrap().starts_with("test "));
    }

    #[test]
    fn a_unix_socket_has_a_name() {
        let address = Address::parse("unix:/run/tw.sock").unwrap();
        let heads = Heads::new(&address, "", false).unwrap();
        let call = Request::health("");
        let head = heads.head(&call, &UserMetadata::default(), None);
        assert_eq!(head.uri().authority().unwrap(), "localhost");
        assert!(head.headers().get("grpc-timeout").is_none());
    }
}
