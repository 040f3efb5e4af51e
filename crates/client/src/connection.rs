//! One server's connection: made when first used, made again when lost.

use std::time::Duration;

use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::address::Address;
use crate::error::ClientError;
use crate::options::ChannelOptions;

/// What a server may send ahead of our reading, for one call and for all of them:
/// enough that a reply of megabytes never waits for a round trip.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// Longest HTTP/2 frame we take: fewer, larger frames for large replies.
const FRAME_BYTES: u32 = 1 << 20;

/// The system's own probes find a peer that is gone even where pings are off, and no
/// server minds them.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);

/// Prepares the connection to `address`; must run inside the runtime.
pub(crate) fn connect_lazily(
    address: &Address,
    options: &ChannelOptions,
) -> Result<Grpc<Channel>, ClientError> {
    let invalid = |error: tonic::transport::Error| {
        let message = format!("cannot set up a connection to {}: {error}", address.name);
        ClientError::local(tonic::Code::InvalidArgument, message)
    };
    let mut endpoint = Endpoint::from_shared(address.uri.clone())
        .and_then(|endpoint| endpoint.user_agent(options.user_agent.as_str()))
        .map_err(invalid)?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES);
    if let Some(time) = options.keepalive_time {
        endpoint = endpoint
            .http2_keep_alive_interval(time)
            .keep_alive_timeout(options.keepalive_timeout);
    }
    Ok(Grpc::new(endpoint.connect_lazy())
        .max_decoding_message_size(options.max_message_bytes)
        .max_encoding_message_size(options.max_message_bytes))
}
