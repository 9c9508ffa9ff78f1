//! Giving up root's rights (`--user`).

use anyhow::{Context, bail};
use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setuid};
use std::ffi::CString;

/// Who somebody is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    /// The user.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
}

/// Understands `USER`, `USER:GROUP` and `:GROUP`.
fn find(spec: &str) -> anyhow::Result<Identity> {
    if !Uid::current().is_root() || !Uid::effective().is_root() {
        bail!("only root can use --user option");
    }
    let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
    let (user, group) = (user.trim(), group.trim());
    let found = match user {
        "" => User::from_uid(Uid::current()).context("failed to retrieve current user's name")?,
        user => User::from_name(user)
            .with_context(|| format!("failed to retrieve user {user}'s uid"))?,
    };
    let found = found.with_context(|| format!("user {user} not found, aborting."))?;
    let mut gid = found.gid;
    if !group.is_empty() {
        let of = Group::from_name(group)
            .with_context(|| format!("failed to get group entry for {group}"))?;
        let of = of.with_context(|| format!("group {group} not found, aborting."))?;
        if of.gid != gid && !of.mem.contains(&found.name) {
            let name = &found.name;
            bail!("invalid --user option {spec} (user {name} is not in group {group}), aborting.");
        }
        gid = of.gid;
    }
    Ok(Identity {
        name: found.name,
        uid: found.uid,
        gid,
    })
}

/// Becomes another user for good. Files that are open stay so.
///
/// # Errors
/// If there is no such user or group, or the system refuses.
pub fn become_user(spec: &str) -> anyhow::Result<Identity> {
    let identity = find(spec)?;
    let name = CString::new(identity.name.clone())?;
    initgroups(&name, identity.gid).context("fail to add supplementary group, aborting")?;
    setgid(identity.gid).context("fail to switch group, aborting")?;
    setuid(identity.uid).context("fail to switch user, aborting")?;
    Ok(identity)
}
