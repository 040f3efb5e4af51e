//! Waits for a moment to within microseconds, without keeping a core busy: tokio's own
//! timers are a millisecond coarse, which is more than a small model takes.

use std::time::Instant;

/// Work done in a row, while behind, before the connections get their turn.
const MOST_IN_A_ROW: u32 = 32;

/// Waits for one moment after the other.
pub(crate) struct Pacer {
    timer: Timer,
    in_a_row: u32,
}

impl Pacer {
    /// Must be made inside the runtime.
    pub(crate) fn new() -> Self {
        Self {
            timer: Timer::new(),
            in_a_row: 0,
        }
    }

    /// Returns at `due`; at once if that is past.
    pub(crate) async fn wait_until(&mut self, due: Instant) {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.in_a_row = 0;
            return self.timer.sleep(left).await;
        }
        self.in_a_row += 1;
        if self.in_a_row >= MOST_IN_A_ROW {
            self.in_a_row = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(target_os = "linux")]
use linux::Timer;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel's; `None`: it has none left, and tokio's have to do.
    pub(super) struct Timer(Option<AsyncFd<OwnedFd>>);

    impl Timer {
        #[expect(
            deprecated,
            reason = "AsyncFd::register is unsafe; what it asks for an OwnedFd keeps"
        )]
        pub(super) fn new() -> Self {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags);
            Self(timer.ok().and_then(|timer| AsyncFd::new(timer).ok()))
        }

        pub(super) async fn sleep(&mut self, left: Duration) {
            let precise = match &self.0 {
                Some(timer) => expire(timer, left).await,
                None => Err(io::ErrorKind::Unsupported.into()),
            };
            if precise.is_err() {
                tokio::time::sleep(left).await;
            }
        }
    }

    async fn expire(timer: &AsyncFd<OwnedFd>, left: Duration) -> io::Result<()> {
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: never,
            it_value: Timespec::try_from(left).map_err(io::Error::other)?,
        };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
        let mut expirations = [0; 8];
        loop {
            let mut ready = timer.readable().await?;
            // An expiry of before this setting is gone: then reading would block.
            let read = |timer: &AsyncFd<OwnedFd>| {
                rustix::io::read(timer, &mut expirations).map_err(io::Error::from)
            };
            if let Ok(result) = ready.try_io(read) {
                return result.map(drop);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
use portable::Timer;

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::time::{Duration, Instant};

    /// As fine as tokio's timers are; the rest is waited for by turns.
    const COARSE: Duration = Duration::from_millis(2);

    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) async fn sleep(&mut self, left: Duration) {
            let due = Instant::now() + left;
            if let Some(coarse) = left.checked_sub(COARSE) {
                tokio::time::sleep(coarse).await;
            }
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pacer;

    #[test]
    fn never_early_and_seldom_late() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut late = runtime.block_on(async {
            let mut pacer = Pacer::new();
            let mut late = Vec::new();
            for micros in [300, 50, 1700, 0].repeat(25) {
                let due = Instant::now() + Duration::from_micros(micros);
                pacer.wait_until(due).await;
                let now = Instant::now();
                assert!(now >= due);
                late.push(now - due);
            }
            late
        });
        late.sort();
        // A busy machine makes some late; tokio's timers alone would make most so.
        assert!(
            late[late.len() / 4] < Duration::from_micros(500),
            "{late:?}"
        );
    }
}
