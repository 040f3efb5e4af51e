//! What requests take that are still coming. The engine's limits can't see them before they
//! are there, and clients that send much and slowly, or never the last of it, could fill the
//! memory.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use engine::{Kind, ServeError};
use tokio::time::{Instant, Sleep, sleep};

/// How long a client may send nothing in the midst of a request.
const SILENCE_LIMIT: Duration = Duration::from_secs(75);

/// So much may be under way however little the engine takes: a limit for tensors that is
/// less has other reasons than the memory.
const LEAST_LIMIT: usize = 64 << 20;

/// The bytes that have come of all requests under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    bytes: AtomicUsize,
    /// 0: without a limit.
    limit: usize,
}

/// One request that is still coming; what it holds is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Coming<'a> {
    under_way: &'a UnderWay,
    held: usize,
    silence: Option<Pin<Box<Sleep>>>,
}

impl UnderWay {
    /// Takes as much as the engine takes of tensors; 0: without a limit.
    pub(crate) fn new(max_bytes: usize) -> Self {
        let limit = match max_bytes {
            0 => 0,
            limit => limit.max(LEAST_LIMIT),
        };
        Self {
            bytes: AtomicUsize::new(0),
            limit,
        }
    }

    /// A request of which nothing has come.
    pub(crate) fn begin(&self) -> Coming<'_> {
        Coming {
            under_way: self,
            held: 0,
            silence: None,
        }
    }
}

impl Coming<'_> {
    /// Notes that so many bytes are there now, or refuses them where all requests under way
    /// have too many.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), ServeError> {
        let more = bytes.saturating_sub(self.held);
        if more == 0 {
            return Ok(());
        }
        self.heard();
        let limit = self.under_way.limit;
        let before = self.under_way.bytes.fetch_add(more, Ordering::Relaxed);
        self.held = bytes;
        if limit == 0 || before.saturating_add(more) <= limit {
            return Ok(());
        }
        if bytes > limit {
            return Err(ServeError::resource_exhausted(format!(
                "the request alone has more than {limit} bytes, and the server takes no more of \
                 all requests that are still coming together; send it in smaller ones"
            )));
        }
        let full = ServeError::resource_exhausted(format!(
            "the server is full: requests that are still coming have {before} bytes of {limit}, \
             and this one {more} more; try again later"
        ));
        Err(full.retry_after(Duration::ZERO))
    }

    /// Notes that something has come.
    pub(crate) fn heard(&mut self) {
        if let Some(silence) = &mut self.silence {
            silence.as_mut().reset(Instant::now() + SILENCE_LIMIT);
        }
    }

    /// Ready when nothing has come for [`SILENCE_LIMIT`]: to be asked when there is no more
    /// to be read for now.
    pub(crate) fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<ServeError> {
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep(SILENCE_LIMIT)));
        ready!(silence.as_mut().poll(context));
        Poll::Ready(ServeError::new(
            Kind::Cancelled,
            format!(
                "nothing of the request came for {} s",
                SILENCE_LIMIT.as_secs()
            ),
        ))
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.under_way.bytes.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST_LIMIT, UnderWay};
    use engine::Kind;

    #[test]
    fn all_together_have_a_limit() {
        let under_way = UnderWay::new(1);
        let mut first = under_way.begin();
        let mut second = under_way.begin();
        first.hold(LEAST_LIMIT - 10).unwrap();
        second.hold(4).unwrap();
        second.hold(10).unwrap();
        let refused = first.hold(LEAST_LIMIT - 9).unwrap_err();
        assert_eq!(refused.kind(), Kind::ResourceExhausted);
        assert!(refused.retry_delay().is_some());
        // The one that was refused goes, and gives all of it back.
        drop(first);
        second.hold(LEAST_LIMIT).unwrap();
        let alone = second.hold(LEAST_LIMIT + 1).unwrap_err();
        assert_eq!(alone.retry_delay(), None);
        drop(second);
        under_way.begin().hold(LEAST_LIMIT).unwrap();
    }

    #[test]
    fn without_a_limit() {
        let under_way = UnderWay::new(0);
        under_way.begin().hold(usize::MAX).unwrap();
    }
}
