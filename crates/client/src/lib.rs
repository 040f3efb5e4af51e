//! The native client: requests encoded once, sent over HTTP/2 to one or more servers
//! with balance, retries and deadlines. Knows no Python; all channels of the
//! process share one runtime, which those drive who wait for a call.

mod request;
pub use request::Request;

mod reply;
pub use reply::{Reply, StatusReply};

mod metadata;
pub use metadata::{ENCODING_KEY, MetadataValue, TENSOR_CONTENT, UserMetadata};

mod channel;
pub use channel::{CallOptions, Channel};

mod options;
pub use options::ChannelOptions;

mod address;

mod tls;
pub use tls::{Pem, Tls, TlsOptions};

mod balance;

mod retry;

mod connection;

mod dial;

mod head;

mod exchange;

mod status;

mod failure;

mod history;

mod code;
pub use code::{Code, code_name};

mod error;
pub use error::ClientError;

mod runtime;
pub use runtime::{block_on, spawn};

mod fork;
pub use fork::PerProcess;

mod load;
pub use load::{
    Arrival, Bucket, ErrorCount, Generator, LoadPlan, LoadReport, LoadTest, Pace, Recent, Summary,
    Target,
};
