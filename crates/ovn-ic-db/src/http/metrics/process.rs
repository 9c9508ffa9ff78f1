//! The process, by proc(5), under the names that all programs use.

use std::fs;
use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit};

use super::catalogue::{
    PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_THREADS, PROCESS_VIRTUAL,
};
use super::exposition::{Exposition, float};

/// When the machine was started, in seconds since 1970.
static BOOT: LazyLock<Option<u64>> = LazyLock::new(|| {
    let text = fs::read_to_string("/proc/stat").ok()?;
    boot_time(&text)
});

/// Adds what the system says of it; what it does not say is left out.
pub fn add(exposition: &mut Exposition) {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    if let Some(stat) = stat.and_then(|text| Stat::parse(&text)) {
        let ticks = float(rustix::param::clock_ticks_per_second());
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        exposition.add(&PROCESS_CPU, &[], float(stat.cpu) / ticks);
        exposition.number(&PROCESS_THREADS, &[], stat.threads);
        exposition.number(&PROCESS_VIRTUAL, &[], stat.virtual_bytes);
        exposition.number(&PROCESS_RESIDENT, &[], stat.resident_pages * page);
        if let Some(boot) = *BOOT {
            let start = float(boot) + float(stat.start) / ticks;
            exposition.add(&PROCESS_START, &[], start);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One is that of this look.
        let open = u64::try_from(open.count().saturating_sub(1)).unwrap_or(u64::MAX);
        exposition.number(&PROCESS_OPEN_FDS, &[], open);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        exposition.number(&PROCESS_MAX_FDS, &[], most);
    }
}

/// Some of `/proc/self/stat`; times are in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu: u64,
    threads: u64,
    /// After the machine's start.
    start: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The second field is a name in parentheses, which may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first one here is the third there.
        let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
        Some(Stat {
            cpu: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            start: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 9000 4096000 \
                    250 18446744073709551615 1 1 0";
        let stat = Stat {
            cpu: 300,
            threads: 3,
            start: 9000,
            virtual_bytes: 4_096_000,
            resident_pages: 250,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000));
    }

    #[test]
    fn this_process_is_told() {
        let mut exposition = Exposition::default();
        add(&mut exposition);
        let text = exposition.text().expect("text");
        for name in ["process_cpu_seconds_total", "process_start_time_seconds"] {
            assert!(text.contains(name), "{text}");
        }
    }
}
