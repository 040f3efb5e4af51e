//! The metrics of the process, under the names that Prometheus clients give them; only
//! where the system tells them (Linux).

use super::family::Family;

#[cfg(not(target_os = "linux"))]
pub(super) fn families() -> Vec<Family> {
    Vec::new()
}

/// What the system tells; a file of it that can't be read costs its own metrics alone.
#[cfg(target_os = "linux")]
pub(super) fn families() -> Vec<Family> {
    use engine::metrics::catalog;
    use procfs::process::{LimitValue, Process};

    let Ok(process) = Process::myself() else {
        return Vec::new();
    };
    let gauge = |metric, value: u64| Family::gauges(metric).with(&[], value as f64);
    let mut families = Vec::new();
    if let Ok(stat) = process.stat() {
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        families.extend([
            Family::counters(catalog::PROCESS_CPU_SECONDS)
                .with(&[], seconds(stat.utime + stat.stime)),
            gauge(
                catalog::PROCESS_RESIDENT_BYTES,
                stat.rss * procfs::page_size(),
            ),
            gauge(catalog::PROCESS_VIRTUAL_BYTES, stat.vsize),
            gauge(catalog::PROCESS_THREADS, stat.num_threads as u64),
        ]);
        if let Ok(boot) = procfs::boot_time_secs() {
            let start = boot as f64 + seconds(stat.starttime);
            families.push(Family::gauges(catalog::PROCESS_START_SECONDS).with(&[], start));
        }
    }
    if let Ok(open) = process.fd_count() {
        families.push(gauge(catalog::PROCESS_OPEN_FDS, open as u64));
    }
    if let Ok(LimitValue::Value(most)) = process.limits().map(|it| it.max_open_files.soft_limit) {
        families.push(gauge(catalog::PROCESS_MAX_FDS, most));
    }
    families
}
