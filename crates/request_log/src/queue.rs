//! What waits to be written, bounded for each model by number and by bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use engine::{Exchange, Messages};
use tensor::{Data, Tensor};

use crate::counts::Counts;
use crate::options::LogOptions;

/// What all records of a model version have in common.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) model: String,
    pub(crate) version: i64,
    pub(crate) options: LogOptions,
    pub(crate) counts: Arc<Counts>,
    pub(crate) load: Arc<Load>,
}

/// A record on its way to the writer.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) source: Arc<Source>,
    pub(crate) exchange: Exchange,
    /// When the request had come.
    pub(crate) time: SystemTime,
    pub(crate) _room: Room,
}

/// How much of a model's waits.
#[derive(Debug, Default)]
pub(crate) struct Load {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

/// A record's share of the queue, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    load: Arc<Load>,
    bytes: usize,
    waiting: usize,
}

impl Room {
    /// Room for a record of so many bytes; a record that is alone may be of any size.
    pub(crate) fn take(load: &Arc<Load>, bytes: usize, options: &LogOptions) -> Option<Self> {
        let records = load.records.fetch_add(1, Ordering::Relaxed);
        let waiting = load.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Dropped, it gives back what it has taken.
        let room = Self {
            load: Arc::clone(load),
            bytes,
            waiting,
        };
        let fits = waiting.saturating_add(bytes) <= options.queue_bytes || records == 0;
        (records < options.queue_records.max(1) && fits).then_some(room)
    }

    /// Bytes that waited before it.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.load.records.fetch_sub(1, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes that a request and its reply hold in memory while they wait.
pub(crate) fn bytes_of(messages: &Messages) -> usize {
    let of = |tensors: &[(String, Tensor)]| -> usize {
        tensors.iter().map(|(_, tensor)| memory_of(tensor)).sum()
    };
    match messages {
        Messages::Encoded { request, reply } => {
            request.len() + reply.iter().map(Bytes::len).sum::<usize>()
        }
        Messages::Tensors { inputs, outputs } => of(inputs) + of(outputs),
    }
}

fn memory_of(tensor: &Tensor) -> usize {
    match tensor.data() {
        Data::Fixed(bytes) => bytes.len(),
        Data::Strings(strings) => {
            size_of_val(&strings[..]) + strings.iter().map(Bytes::len).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Room;
    use crate::logs::tests::options;
    use crate::options::LogOptions;

    #[test]
    fn room_is_bounded_and_given_back() {
        let options = LogOptions {
            queue_records: 2,
            queue_bytes: 100,
            ..options("unused")
        };
        let load = Arc::default();
        let alone = Room::take(&load, 1000, &options);
        assert!(alone.is_some());
        assert!(Room::take(&load, 1, &options).is_none());
        drop(alone);
        let first = Room::take(&load, 50, &options).unwrap();
        assert!(Room::take(&load, 51, &options).is_none());
        let second = Room::take(&load, 50, &options).unwrap();
        assert!(Room::take(&load, 0, &options).is_none());
        drop((first, second));
        assert_eq!(load.records.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(load.bytes.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
