//! One small fault somewhere in a JSON text.

use fastrand::Rng;
use serde_json::Value;

use super::value::misfit;

/// Replaces, removes, doubles or adds something, anywhere.
pub fn damage(random: &mut Rng, value: &mut Value) {
    let here = random.u8(0..3) == 0;
    match value {
        Value::Array(items) if !items.is_empty() => {
            let index = random.usize(..items.len());
            if !here {
                return damage(random, &mut items[index]);
            }
            match random.u8(0..4) {
                0 => drop(items.remove(index)),
                1 => items.push(misfit(random)),
                2 => items.insert(index, items[index].clone()),
                _ => items[index] = misfit(random),
            }
        }
        Value::Object(members) if !members.is_empty() => {
            let index = random.usize(..members.len());
            let Some(key) = members.keys().nth(index).cloned() else {
                return;
            };
            if !here {
                if let Some(member) = members.get_mut(&key) {
                    damage(random, member);
                }
                return;
            }
            match random.u8(0..4) {
                0 => drop(members.remove(&key)),
                1 => drop(members.insert("extra".into(), misfit(random))),
                2 => {
                    if let Some(member) = members.remove(&key) {
                        members.insert(format!("{key}x"), member);
                    }
                }
                _ => drop(members.insert(key, misfit(random))),
            }
        }
        other => *other = misfit(random),
    }
}
