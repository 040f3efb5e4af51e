//! The counts of one loaded model version. They end with it: a version that is loaded
//! again begins at 0, which to Prometheus is a restart like any other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::counters::{BatchCounters, RequestCounters};
use super::sharded::Sharded;
use super::{FailureCounts, NameMetrics, RunningBatch, SignatureTotals};
use crate::{Kind, Timings};

/// Bytes of a request's messages, without their framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageSizes {
    /// Of the request, decompressed.
    pub received: usize,
    /// Of the reply.
    pub sent: usize,
}

/// What is counted of a model version, for each of its signatures. Takes 48 bytes a
/// signature until it is called; then, for each thread that answers its requests, 1,280
/// bytes, for each that runs its batches, 256, and for the way to them 32 bytes a slot
/// (two slots a core, and eight).
pub struct ModelMetrics {
    signatures: Box<[SignatureMetrics]>,
    without_signature: FailureCounts,
    name: OnceLock<Arc<NameMetrics>>,
    file_bytes: AtomicU64,
}

struct SignatureMetrics {
    requests: Sharded<RequestCounters>,
    batches: Sharded<BatchCounters>,
}

impl ModelMetrics {
    /// Counts for this many signatures, which are known by their index.
    pub fn new(signatures: usize) -> Self {
        let signature = |_| SignatureMetrics {
            requests: Sharded::new(),
            batches: Sharded::new(),
        };
        Self {
            signatures: (0..signatures).map(signature).collect(),
            without_signature: FailureCounts::new(),
            name: OnceLock::new(),
            file_bytes: AtomicU64::new(0),
        }
    }

    /// Has what concerns its name be counted there too, from before it is served.
    pub fn join(&self, name: Arc<NameMetrics>) {
        let _ = self.name.set(name);
    }

    /// The counts of its name, if it was told of them.
    pub fn name(&self) -> Option<&NameMetrics> {
        self.name.get().map(|name| &**name)
    }

    /// Notes the size of the files it was loaded from.
    pub fn set_file_bytes(&self, bytes: u64) {
        self.file_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of the files it was loaded from; 0: nobody looked.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Counts a request that was answered well.
    #[inline]
    pub fn record(&self, signature: usize, timings: &Timings, sizes: MessageSizes) {
        if let Some(signature) = self.signatures.get(signature) {
            signature
                .requests
                .write(|counters, writer| counters.record(timings, sizes, writer));
        }
    }

    /// A number that grows with every request that was answered well.
    pub fn activity(&self) -> u64 {
        let signatures = self.signatures.iter();
        signatures
            .map(|signature| signature.requests.sum(|it| &it.total_nanos))
            .fold(0, u64::wrapping_add)
    }

    /// Counts a request that failed: on this signature, or before one was found.
    pub fn record_failure(&self, signature: Option<usize>, kind: Kind) {
        match signature.and_then(|index| self.signatures.get(index)) {
            Some(signature) => signature
                .requests
                .write(|counters, writer| counters.record_failure(kind, writer)),
            None => self.without_signature.record(kind),
        }
    }

    /// Counts a batch as running until the guard ends it.
    pub fn begin_batch(&self, signature: usize) -> RunningBatch<'_> {
        let batches = self.signatures.get(signature);
        RunningBatch::begin(batches.map(|signature| &signature.batches), self.name())
    }

    /// Everything counted of a signature so far; `None`: there is none of this index.
    pub fn totals(&self, signature: usize) -> Option<SignatureTotals> {
        let signature = self.signatures.get(signature)?;
        Some(SignatureTotals::of(&signature.requests, &signature.batches))
    }

    /// Failed requests that named no signature of the model.
    pub fn without_signature(&self) -> &FailureCounts {
        &self.without_signature
    }
}

impl std::fmt::Debug for ModelMetrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ModelMetrics({})", self.signatures.len())
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
