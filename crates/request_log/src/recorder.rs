//! The end of a log that the serving threads see: samples, and hands over without waiting.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use bytes::Bytes;
use engine::{Exchange, Messages, RecordCounts, Recorder};
use tensor::{Data, Tensor};

use crate::queue::{Queued, Room, Source, bytes_of};
use crate::writer::Job;

/// From so many bytes on, a message is kept where it is. A shorter one is copied: it lies in
/// a receive buffer that many requests share, which would stay for it.
const SHARED_FROM: usize = 16 << 10;

/// From so many waiting bytes on, everything is copied: a reply may be a few rows of a whole
/// batch's outputs, all of which it holds in memory, and waits for a disk that hangs.
const COPIED_FROM: usize = 1 << 20;

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
            exchange: unpinned(exchange, room.waiting() >= COPIED_FROM),
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

/// Without what lies in memory that others share; `all`: nor what may be a part of more.
fn unpinned(mut exchange: Exchange, all: bool) -> Exchange {
    match &mut exchange.messages {
        Messages::Encoded { request, reply } => {
            if all || request.len() < SHARED_FROM {
                *request = Bytes::copy_from_slice(request);
            }
            if all {
                // All but what is sent from where it is was written for this reply.
                let shared = reply.iter_mut().filter(|piece| piece.len() >= SHARED_FROM);
                shared.for_each(|piece| *piece = Bytes::copy_from_slice(piece));
            }
        }
        Messages::Tensors { inputs, outputs } if all => {
            for (_, tensor) in inputs.iter_mut().chain(outputs) {
                *tensor = copied(tensor);
            }
        }
        Messages::Tensors { .. } => {}
    }
    exchange
}

fn copied(tensor: &Tensor) -> Tensor {
    let shape = tensor.shape().clone();
    let copy = match tensor.data() {
        Data::Fixed(bytes) => Tensor::fixed(tensor.dtype(), shape, Bytes::copy_from_slice(bytes)),
        Data::Strings(strings) => {
            let strings = strings.iter().map(|string| Bytes::copy_from_slice(string));
            Tensor::strings(shape, strings.collect())
        }
    };
    // It fits as the tensor itself does.
    copy.unwrap_or_else(|_| tensor.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use engine::{Exchange, InferenceMethod, Messages};
    use smallvec::smallvec;
    use tensor::{DType, Shape, Tensor};

    use super::{SHARED_FROM, unpinned};

    fn exchange(messages: Messages) -> Exchange {
        Exchange {
            method: InferenceMethod::Predict,
            signature: String::new(),
            duration: Duration::ZERO,
            messages,
        }
    }

    /// A row of a batch, in each form in which one is kept.
    fn kept(row: &Bytes, all: bool) -> Vec<Bytes> {
        let encoded = Messages::Encoded {
            request: row.clone(),
            reply: smallvec![row.clone()],
        };
        let shape = Shape::new(&[row.len()]).unwrap();
        let tensor = Tensor::fixed(DType::UInt8, shape, row.clone()).unwrap();
        let string = Tensor::strings(Shape::new(&[]).unwrap(), vec![row.clone()]).unwrap();
        let tensors = Messages::Tensors {
            inputs: vec![("x".to_owned(), tensor)],
            outputs: vec![("y".to_owned(), string)],
        };
        [encoded, tensors]
            .into_iter()
            .flat_map(
                |messages| match unpinned(exchange(messages), all).messages {
                    Messages::Encoded { request, reply } => vec![request, reply[0].clone()],
                    Messages::Tensors { inputs, outputs } => [inputs, outputs]
                        .concat()
                        .into_iter()
                        .map(|(_, tensor)| match tensor.into_parts().2 {
                            super::Data::Fixed(bytes) => bytes,
                            super::Data::Strings(mut strings) => strings.remove(0),
                        })
                        .collect(),
                },
            )
            .collect()
    }

    #[test]
    fn where_much_waits_nothing_holds_a_whole_batch() {
        let batch = Bytes::from(vec![7; 4 * SHARED_FROM]);
        let row = batch.slice(SHARED_FROM..2 * SHARED_FROM);
        for all in [false, true] {
            for kept in kept(&row, all) {
                assert_eq!(kept, row);
                assert_eq!(kept.as_ptr() != row.as_ptr(), all);
            }
        }
    }
}
