//! The end of a log that the serving threads see: samples, and hands over without waiting.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use bytes::Bytes;
use engine::{Exchange, Messages, RecordCounts, Recorder};

use crate::queue::{Queued, Room, Source, bytes_of};
use crate::writer::Job;

/// From so many bytes on, a message is kept where it is. A shorter one is copied: it lies in
/// a receive buffer that many requests share, which would stay for it.
const SHARED_FROM: usize = 16 << 10;

/// Keeps a share of a model version's requests.
pub(crate) struct LogRecorder {
    pub(crate) source: Arc<Source>,
    pub(crate) writer: Sender<Job>,
}

impl Recorder for LogRecorder {
    fn wants(&self) -> bool {
        // Below 1 always, so that a rate of 1 takes them all and one of 0 takes none.
        fastrand::f64() < self.source.options.sampling_rate
    }

    fn keep(&self, exchange: Exchange) {
        let source = &self.source;
        let bytes = bytes_of(&exchange.messages);
        let Some(room) = Room::take(&source.load, bytes, &source.options) else {
            return source.counts.lost_in_queue.add(1);
        };
        let now = SystemTime::now();
        let queued = Queued {
            source: Arc::clone(source),
            time: now.checked_sub(exchange.duration).unwrap_or(now),
            exchange: unpinned(exchange),
            _room: room,
        };
        if self.writer.send(Job::Write(Box::new(queued))).is_err() {
            source.counts.lost_on_disk.add(1);
        }
    }

    fn counts(&self) -> RecordCounts {
        self.source.counts.read()
    }
}

fn unpinned(mut exchange: Exchange) -> Exchange {
    if let Messages::Encoded { request, .. } = &mut exchange.messages
        && request.len() < SHARED_FROM
    {
        *request = Bytes::copy_from_slice(request);
    }
    exchange
}
