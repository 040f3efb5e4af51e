//! Calls, from the choice of a server to the decoded reply. May be used from any
//! thread, and after a `fork` in the child too, which makes its own connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::balance::Balance;
use crate::code::Code;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::exchange::exchange;
use crate::failure::{Cause, Failure};
use crate::fork::PerProcess;
use crate::head::Heads;
use crate::history::History;
use crate::metadata::UserMetadata;
use crate::options::ChannelOptions;
use crate::reply::Reply;
use crate::request::Request;
use crate::retry::Retries;

/// Connections to one or more servers that offer the same.
pub struct Channel {
    addresses: Vec<Address>,
    heads: Vec<Heads>,
    options: Arc<ChannelOptions>,
    closed: AtomicBool,
    live: PerProcess<Live>,
}

/// What belongs to one process.
struct Live {
    connections: Vec<Connection>,
    balance: Balance,
    closing: CancellationToken,
}

/// How one call is made.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// The time it may take, retries and all; `None`: any.
    pub timeout: Option<Duration>,
    /// What is sent along.
    pub metadata: UserMetadata,
    /// Keep trying until the deadline while no server is available.
    pub wait_for_ready: bool,
}

/// What a server sends along with a reply: its trailers.
pub(crate) type ReplyMetadata = http::HeaderMap;

/// A reply as it came in.
pub(crate) struct RawReply {
    /// The encoded message.
    pub(crate) message: Bytes,
    /// The trailers.
    pub(crate) metadata: ReplyMetadata,
    /// Which of the channel's servers answered.
    address: usize,
}

#[cfg(test)]
impl RawReply {
    /// As a server would send it.
    pub(crate) fn new(message: Bytes, metadata: ReplyMetadata) -> Self {
        Self {
            message,
            metadata,
            address: 0,
        }
    }
}

/// Where a call has got to, for the message if its deadline passes there.
#[derive(Default)]
struct Progress<'a> {
    address: &'a str,
    failed: History,
}

/// One call, as all of its attempts see it.
struct Attempts<'a> {
    channel: &'a Channel,
    live: &'a Live,
    request: &'a Request,
    options: &'a CallOptions,
    deadline: Option<Instant>,
}

impl Channel {
    /// Connects when first used.
    pub fn new<S: AsRef<str>>(
        addresses: &[S],
        options: ChannelOptions,
    ) -> Result<Self, ClientError> {
        if addresses.is_empty() {
            let message = "a client needs the address of at least one server";
            return Err(ClientError::local(Code::InvalidArgument, message));
        }
        let addresses: Vec<Address> = addresses
            .iter()
            .map(|text| Address::parse(text.as_ref()))
            .collect::<Result<_, _>>()?;
        let secure = options.tls.is_some();
        addresses
            .iter()
            .try_for_each(|address| check_scheme(address, secure))?;
        let heads = addresses
            .iter()
            .map(|address| Heads::new(address, &options.user_agent, secure));
        Ok(Self {
            heads: heads.collect::<Result<_, _>>()?,
            addresses,
            options: Arc::new(options),
            closed: AtomicBool::new(false),
            live: PerProcess::new(),
        })
    }

    /// Makes a call. Dropping the future gives the call up and tells the server.
    ///
    /// Must run on the client's runtime: see [`crate::block_on`] and [`crate::spawn`].
    pub async fn call(
        &self,
        request: &Request,
        options: &CallOptions,
    ) -> Result<Reply, ClientError> {
        let result = match self.exchange(request, options).await {
            Ok(reply) => self.read(request, &reply),
            Err(error) => Err(error),
        };
        result.or_else(|error| Reply::from_error(request.method, &error).ok_or(error))
    }

    /// Makes a call, and leaves its reply undecoded. Any tokio runtime will do, if all of
    /// the channel's calls run on it.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        options: &CallOptions,
    ) -> Result<RawReply, ClientError> {
        self.check(request)?;
        let Ok(live) = self
            .live
            .get_or_try_make(|| Ok::<_, Infallible>(self.connect()));
        if self.closed.load(Ordering::SeqCst) {
            // Closed between the check and the making: nobody else lets go of it.
            self.live.clear();
            return Err(closed());
        }
        let attempts = Attempts {
            channel: self,
            live: &live,
            request,
            options,
            // A deadline beyond what the clock can say is none.
            deadline: options
                .timeout
                .and_then(|timeout| Instant::now().checked_add(timeout)),
        };
        let mut progress = Progress::default();
        tokio::select! {
            biased;
            () = live.closing.cancelled() => {
                let message = "the client was closed during the call";
                Err(ClientError::at(Code::Cancelled, message, progress.address))
            }
            result = attempts.run(&mut progress) => result,
        }
    }

    /// Ends calls under way with CANCELLED and closes the connections. Later calls fail.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if let Some(live) = self.live.get() {
            live.closing.cancel();
        }
        self.live.clear();
    }

    fn check(&self, request: &Request) -> Result<(), ClientError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        // The length has 32 bits in gRPC's prefix.
        let limit = self.options.max_message_bytes.min(u32::MAX as usize);
        let length = request.message_bytes();
        if length > limit {
            let message =
                format!("the request is {length} bytes long; max_message_bytes allows {limit}");
            return Err(ClientError::local(Code::ResourceExhausted, message));
        }
        Ok(())
    }

    fn read(&self, request: &Request, reply: &RawReply) -> Result<Reply, ClientError> {
        let limit = self.options.max_message_bytes;
        Reply::decode(request.method, &reply.message, limit).map_err(|why| {
            let address = self.addresses[reply.address].name.as_str();
            let message = format!("the reply of {address} can't be read: {why}");
            ClientError::at(Code::Internal, message, address)
        })
    }

    fn connect(&self) -> Live {
        let addresses = self.addresses.iter();
        Live {
            connections: addresses
                .map(|address| Connection::new(address.clone(), Arc::clone(&self.options)))
                .collect(),
            balance: Balance::new(self.addresses.len()),
            closing: CancellationToken::new(),
        }
    }
}

/// A scheme must not promise what the channel's settings don't keep, nor the reverse.
fn check_scheme(address: &Address, secure: bool) -> Result<(), ClientError> {
    let message = match (address.secure, secure) {
        (Some(true), false) => format!("https://{} wants TLS, and tls is off", address.name),
        (Some(false), true) => format!(
            "http://{} is in the clear, and tls is on; write https:// or no scheme",
            address.name
        ),
        _ => return Ok(()),
    };
    Err(ClientError::local(Code::InvalidArgument, message))
}

fn closed() -> ClientError {
    ClientError::local(
        Code::FailedPrecondition,
        "the client is closed; make a new one",
    )
}

impl<'a> Attempts<'a> {
    async fn run(&self, progress: &mut Progress<'a>) -> Result<RawReply, ClientError> {
        let Some(deadline) = self.deadline else {
            return self.until_answered(progress).await;
        };
        match timeout_at(deadline, self.until_answered(progress)).await {
            Ok(result) => result,
            Err(_) => Err(self.deadline_exceeded(progress)),
        }
    }

    async fn until_answered(&self, progress: &mut Progress<'a>) -> Result<RawReply, ClientError> {
        let waiting = self.options.wait_for_ready;
        let addresses = &self.channel.addresses;
        let mut retries = Retries::new(&self.channel.options, addresses.len(), waiting);
        let mut last = None;
        loop {
            let index = self.live.balance.pick(last);
            last = Some(index);
            progress.address = &addresses[index].name;
            let failure = match self.attempt(index).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            // A server may ask for any pause, one that no clock reaches too.
            let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
            let too_late = |pause: &Duration| {
                !waiting && self.deadline.map(left).is_some_and(|left| *pause >= left)
            };
            let pause = retries.pause_after(&failure);
            let Some(pause) = pause.filter(|pause| !too_late(pause)) else {
                return Err(std::mem::take(&mut progress.failed).ended_by(failure));
            };
            progress.failed.add(failure);
            sleep(pause).await;
        }
    }

    async fn attempt(&self, index: usize) -> Result<RawReply, Failure> {
        let address = self.channel.addresses[index].name.as_str();
        let result = self.exchange(index, address).await;
        match result.as_ref().map_err(|failure| failure.cause) {
            Ok(_) | Err(Cause::Answered) => self.live.balance.mark_up(index),
            Err(Cause::Unreached) => self.live.balance.mark_down(index),
            Err(Cause::Lost) => {}
        }
        result
    }

    async fn exchange(&self, index: usize, address: &str) -> Result<RawReply, Failure> {
        let mut moved = false;
        loop {
            let mut link = self.live.connections[index]
                .link()
                .await
                .map_err(|none| Failure::unreached(&none, address))?;
            let _under_way = link.enter();
            let left = self
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let head = self.channel.heads[index].head(self.request, &self.options.metadata, left);
            let limit = self.channel.options.max_message_bytes;
            match exchange(&mut link, head, self.request.frame.clone(), limit).await {
                Ok((message, metadata)) => {
                    return Ok(RawReply {
                        message,
                        metadata,
                        address: index,
                    });
                }
                // Once: a server that greets and says farewell in turn is not available.
                Err(broken) if broken.unseen() && !moved => moved = true,
                Err(broken) => return Err(Failure::broken(broken, link.given_up(), address)),
            }
        }
    }

    fn deadline_exceeded(&self, progress: &Progress<'_>) -> ClientError {
        // To the millisecond: finer is noise from what the caller did before.
        let millis = self.options.timeout.unwrap_or_default().as_secs_f64() * 1e3;
        let seconds = millis.round() / 1e3;
        let mut message = format!("no answer within {seconds} s");
        if let Some(failures) = progress.failed.sentence() {
            let which = if progress.failed.is_long() {
                "the attempts"
            } else {
                "the last attempt"
            };
            message = format!("{message}; {which}: {failures}");
        }
        ClientError::at(Code::DeadlineExceeded, message, progress.address)
    }
}
