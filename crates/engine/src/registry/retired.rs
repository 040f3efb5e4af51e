//! What is out of service and not free yet. Who took it out decides which thread waits for
//! that.

use std::sync::Arc;
use std::time::Duration;

use super::entry::Turn;
use crate::ServedModel;

/// How often a thread that waits for others to let go looks whether they have: often at
/// first, when it is a request of microseconds, and less so for one of minutes.
const SHORTEST_LOOK: Duration = Duration::from_micros(200);
const LONGEST_LOOK: Duration = Duration::from_millis(10);

/// Versions that no further request finds. Where this is dropped and not freed, the last
/// request of each frees it, and pays for that.
#[derive(Debug, Default)]
#[must_use = "who does not free it leaves that to the last request"]
pub struct Retired {
    pub(super) models: Vec<Arc<ServedModel>>,
    /// Held by others, who are at work with a version, or free what it had replaced.
    pub(super) awaited: Vec<Turn>,
    /// What those look at who wait for this.
    pub(super) leaving: Option<Turn>,
}

impl Retired {
    /// Has those let go of it who hold it for anything but a request.
    pub(super) fn told(self) -> Self {
        self.models.iter().for_each(|model| model.retire());
        self
    }

    /// Waits until nobody uses it, and frees it, in the calling thread.
    pub fn free(self) {
        self.awaited.iter().for_each(wait_until_alone);
        self.models.iter().for_each(wait_until_alone);
        drop(self.models);
        // Only now: whoever looks at it waits for the memory.
        drop(self.leaving);
    }
}

/// Waits until the calling thread is the only holder. The last request must not pay for
/// freeing a model, so this thread stays to do it.
fn wait_until_alone<T>(held: &Arc<T>) {
    let mut look = SHORTEST_LOOK;
    while Arc::strong_count(held) > 1 {
        std::thread::sleep(look);
        look = (look * 2).min(LONGEST_LOOK);
    }
}
