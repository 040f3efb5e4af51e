//! The native client: requests encoded once, sent over HTTP/2 to one or more servers
//! with balance, retries and deadlines. Knows no Python; runs on one thread of its own
//! that all channels of the process share.

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

mod balance;

mod retry;

mod connection;

mod codec;

mod failure;

mod history;

mod error;
pub use error::{ClientError, code_name};
pub use tonic::Code;

mod runtime;
pub use runtime::{block_on, spawn};

mod fork;
pub use fork::PerProcess;

mod load;
pub use load::{
    Arrival, Bucket, ErrorCount, Generator, LoadPlan, LoadReport, LoadTest, Pace, Recent, Summary,
    Target,
};
