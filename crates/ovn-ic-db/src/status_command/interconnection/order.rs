//! The order in which people look for prefixes: by number, not by digit.

use std::net::IpAddr;

/// What prefixes are sorted by: IPv4, IPv6, what is neither.
pub fn of_prefix(prefix: &str) -> (bool, Option<IpAddr>, Option<u8>, &str) {
    let (address, length) = match prefix.split_once('/') {
        Some((address, length)) => (address, length.parse().ok()),
        None => (prefix, None),
    };
    let address = address.parse().ok();
    (address.is_none(), address, length, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_sorted_as_numbers() {
        let sorted = [
            "9.0.0.0/8",
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.9.1",
            "10.0.10.0/24",
            "fd00::/8",
            "default",
        ];
        let mut prefixes = sorted;
        prefixes.reverse();
        prefixes.sort_by(|a, b| of_prefix(a).cmp(&of_prefix(b)));
        assert_eq!(prefixes, sorted);
    }
}
