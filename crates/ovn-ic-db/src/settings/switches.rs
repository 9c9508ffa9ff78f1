//! Which transit switches the variables ask for.

use std::net::IpAddr;

use super::SettingError;
use super::given::{Sources, addresses, check_subnet};
use crate::transit_switches::{Families, MOST_SWITCHES, Wanted};

/// Reads `TS_NUM`, `TS_NAME` and what belongs to them.
pub(super) fn transit_switches(sources: &Sources<'_>) -> Result<Wanted, SettingError> {
    let by_protocol = match sources.variable("PROTOCOL")? {
        None => Families::V4,
        Some(given) => match given.value.trim() {
            "ipv4" => Families::V4,
            "ipv6" => Families::V6,
            "dual" => Families::Dual,
            _ => return Err(given.refuse("must be ipv4, ipv6 or dual")),
        },
    };
    let cidr = sources.variable("TS_CIDR")?;
    if let Some(given) = &cidr {
        check_subnet(given)?;
    }
    let leader_check = sources.boolean("ENABLE_OVN_LEADER_CHECK")?.unwrap_or(true);
    if let Some(given) = sources.variable("TS_NUM")? {
        let count = given.number(u64::from(MOST_SWITCHES))?;
        if leader_check {
            let families = match sources.variable("POD_IPS")? {
                None => by_protocol,
                Some(given) => {
                    let addresses = addresses(&given)?;
                    let v4 = addresses.iter().any(IpAddr::is_ipv4);
                    let v6 = addresses.iter().any(IpAddr::is_ipv6);
                    match (v4, v6) {
                        (true, true) => Families::Dual,
                        (false, true) => Families::V6,
                        _ => Families::V4,
                    }
                }
            };
            return Ok(Wanted::Number {
                // `number` has checked the bound, which fits.
                count: u32::try_from(count).unwrap_or(MOST_SWITCHES),
                families,
            });
        }
    }
    if (sources.environment)("TS_NAME").is_some_and(|name| name.is_empty()) {
        return Ok(Wanted::Nothing);
    }
    Ok(Wanted::One {
        name: sources
            .variable("TS_NAME")?
            .map_or_else(|| "ts".to_owned(), |given| given.value),
        explicit: cidr.is_some(),
        subnet: cidr.map_or_else(|| by_protocol.subnet(0), |given| given.value),
    })
}
