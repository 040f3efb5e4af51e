//! Whether a new connection speaks HTTP/2 (with prior knowledge, as gRPC does) or
//! HTTP/1.x: its first bytes say so.

use std::io::Result;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every HTTP/2 client sends first; chosen by RFC 9113 so that no HTTP/1.x request
/// begins like it.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client may take to say which it is. Clients of either kind speak as soon as
/// they are connected; this is time for the packet to be lost and sent again three times
/// (after 1, 3 and 7 s). Whoever connects and says nothing holds no descriptor longer.
pub(crate) const SNIFF_LIMIT: Duration = Duration::from_secs(10);

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.x, or nothing that we know: HTTP/1.1 answers that with 400.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Reads as few of a connection's first bytes as tell what it speaks, and answers them
/// too. `None`: it ended, or [`SNIFF_LIMIT`] passed, before that.
pub(crate) async fn sniff(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<(Protocol, Bytes)>> {
    tokio::time::timeout(SNIFF_LIMIT, read_first_bytes(stream))
        .await
        .unwrap_or(Ok(None))
}

async fn read_first_bytes(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<(Protocol, Bytes)>> {
    let mut first = [0; PREFACE.len()];
    let mut read = 0;
    while read < first.len() {
        let more = stream.read(&mut first[read..]).await?;
        if more == 0 {
            return Ok(None);
        }
        read += more;
        if first[..read] != PREFACE[..read] {
            return Ok(Some((
                Protocol::Http1,
                Bytes::copy_from_slice(&first[..read]),
            )));
        }
    }
    Ok(Some((Protocol::Http2, Bytes::from_static(PREFACE))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::{PREFACE, Protocol, SNIFF_LIMIT, sniff};

    /// What is told of a client that sends these bytes one every `pause`, and closes.
    async fn sniffed(bytes: &[u8], pause: Duration) -> Option<(Protocol, Vec<u8>)> {
        let (mut client, mut server) = duplex(1);
        let send = async {
            for byte in bytes {
                // The server may have heard enough.
                if client.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(pause).await;
            }
            drop(client);
        };
        let receive = async move {
            let (protocol, first) = sniff(&mut server).await.unwrap()?;
            let mut all = first.to_vec();
            server.read_to_end(&mut all).await.unwrap();
            Some((protocol, all))
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test(start_paused = true)]
    async fn tells_by_the_first_bytes_and_loses_none() {
        let slow = Duration::from_millis(300);
        let rest = [PREFACE.as_slice(), b"\0\0\0\x04\0"].concat();
        for pause in [Duration::ZERO, slow] {
            for request in [
                "GET /metrics HTTP/1.1\r\n\r\n",
                "POST / HTTP/1.1\r\n\r\n",
                "PROPFIND / HTTP/1.1\r\n\r\n",
                "PRI * HTTP/1.1\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
                "\x16\x03\x01",
                "x",
            ] {
                let told = sniffed(request.as_bytes(), pause).await;
                assert_eq!(told, Some((Protocol::Http1, request.into())));
            }
            let told = sniffed(&rest, pause).await;
            assert_eq!(told, Some((Protocol::Http2, rest.clone())));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_preface_is_nothing() {
        for length in 0..PREFACE.len() {
            assert_eq!(sniffed(&PREFACE[..length], Duration::ZERO).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_has_an_end() {
        let begun = Instant::now();
        let (_client, mut server) = duplex(64);
        assert_eq!(sniff(&mut server).await.unwrap(), None);
        assert_eq!(begun.elapsed(), SNIFF_LIMIT);
        // A byte a second does not make it longer.
        assert_eq!(sniffed(PREFACE, Duration::from_secs(1)).await, None);
    }
}
