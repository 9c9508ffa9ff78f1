//! Figures as people read them.

/// `950 B`, `12 KiB`, `3.4 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        // What would be shown as 1024 of the smaller one is 1.0 of the larger one.
        if size < 1023.5 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    match size < 9.95 {
        true => format!("{size:.1} {unit}"),
        false => format!("{size:.0} {unit}"),
    }
}

/// `0.2 s`, `59 s`, `5 min`, `3 h`, `12 d`, of milliseconds.
pub fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `0`, `<0.1`, `3.4`, `120`, of thousandths.
pub fn rate(thousandths: u64) -> String {
    match thousandths {
        0 => "0".to_owned(),
        1..50 => "<0.1".to_owned(),
        50..9_950 => format!("{:.1}", thousandths as f64 / 1000.0),
        _ => format!("{:.0}", thousandths as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_at_least() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (12_900, "13 KiB"),
            (1_048_575, "1.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        for (milliseconds, text) in [
            (149, "0.1 s"),
            (9_999, "10.0 s"),
            (10_000, "10 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }

    #[test]
    fn rates_have_two_digits_at_least() {
        for (thousandths, text) in [
            (0, "0"),
            (16, "<0.1"),
            (50, "0.1"),
            (9_949, "9.9"),
            (9_950, "10"),
            (123_456, "123"),
        ] {
            assert_eq!(rate(thousandths), text);
        }
    }
}
