//! A machine of the document on this one: folders of its own where the document says `/etc/ovn` and
//! others, and commands that mean its own containers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;

use crate::container::docker::privileged;
use crate::container::{Container, Place, Sandbox};
use crate::process::{Program, executable, require};

/// What the document calls the container.
const CONTAINER: &str = "ovn-ic-db";
/// How long one command may take, in seconds.
const LIMIT: &str = "120";

/// The machine. What its containers have goes with the sandbox.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its letter.
    pub name: char,
    /// Its address in the sandbox's network.
    pub address: String,
    /// The folders that containers are given.
    pub place: Place,
    prefix: String,
}

/// `ENTER COMMAND` runs a command there.
const ENTER: &str = r#"#!/bin/sh
exec unshare --mount sh -euc '
mount --bind "$0/etc" /etc/ovn
mount --bind "$0/log" /var/log/ovn
mount --bind "$0/backups" /var/backups
mount --bind "$0/sbin" /usr/local/sbin
cd /
PATH="$0/bin:/usr/local/sbin:$PATH:/usr/sbin:/sbin"
exec bash -c "$1"
' FOLDER "$*"
"#;

/// `docker`: the host's network is the sandbox's with this machine's address, containers have names of
/// their own, folders and images are the test's, and privileges are those that there are here.
const DOCKER: &str = r#"#!/bin/bash
set -eu
words=()
named=
for word in "$@"; do
    case "$word" in
    --network=host) words+=(--network NETWORK --ip ADDRESS --label LABEL); continue ;;
    --privileged) words+=(PRIVILEGED); continue ;;
    --name=*) word=--name=PREFIX-${word#--name=} ;;
    /etc/ovn/:*) word=FOLDER/etc:${word#*:} ;;
    /var/run/ovn:*) word=FOLDER/run:${word#*:} ;;
    /var/log/ovn:*) word=FOLDER/log:${word#*:} ;;
    /var/run/tls:*) word=FOLDER/tls:${word#*:} ;;
    ovn-ic-db:latest) word=OURS ;;
    ovn-ic-db:0.2.0) word=SECOND ;;
    ovn-ic-db:/*) word=PREFIX-$word ;;
    ovn-ic-db | ovn-ic-db-old)
        # Behind the container's name it is the program's.
        case "$1$named" in run* | exec1) ;; *) word=PREFIX-$word named=1 ;; esac ;;
    esac
    words+=("$word")
done
exec DOCKER "${words[@]}"
"#;

/// `ssh root@ADDRESS COMMAND`.
const SSH: &str = r#"#!/bin/sh
for name in A B C D; do
    if [ "$1" = "root@$(cat SITE/$name/address)" ]; then
        shift
        exec SITE/$name/enter "$*"
    fi
done
echo "ssh: $1: no such machine" >&2
exit 255
"#;

/// `scp [-r] FILE... root@ADDRESS:FOLDER`.
const SCP: &str = r#"#!/bin/bash
set -euo pipefail
whole=
if [ "$1" = -r ]; then
    whole=yes
    shift
fi
to=${!#}
for file in "${@:1:$#-1}"; do
    [ -f "$file" ] || [ -n "$whole" ]
    tar -C "${file%/*}" -c "${file##*/}" | ssh "${to%%:*}" "tar -C '${to#*:}' -x"
done
"#;

impl Machine {
    /// Makes it. `number` is its place among them.
    pub(super) fn make(sandbox: &mut Sandbox, name: char, number: usize) -> Result<Machine> {
        let address = sandbox.address(number)?;
        let place = sandbox.place_named(&name.to_string())?;
        let machine = Machine {
            name,
            address,
            place,
            prefix: sandbox.name(&name.to_string()),
        };
        let folder = machine.place.path();
        for part in ["backups", "sbin", "bin"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("address"), &machine.address)?;
        let text = |path: &Path| path.display().to_string();
        let real = text(&require("docker", "docker.io")?);
        let here = text(folder);
        let site = text(sandbox.folder());
        let privileges = privileged()?.join(" ");
        let label = sandbox.label();
        let fill = |script: &str| {
            script
                .replace("FOLDER", &here)
                .replace("SITE", &site)
                .replace("NETWORK", sandbox.network().unwrap_or_default())
                .replace("ADDRESS", &machine.address)
                .replace("LABEL", &label)
                .replace("PRIVILEGED", &privileges)
                .replace("PREFIX", &machine.prefix)
                .replace("OURS", &sandbox.images.ours)
                .replace("SECOND", &sandbox.images.second)
                .replace("DOCKER", &real)
        };
        for (path, script) in [
            ("enter", ENTER),
            ("bin/docker", DOCKER),
            ("bin/ssh", SSH),
            ("bin/scp", SCP),
        ] {
            let path = folder.join(path);
            fs::write(&path, fill(script))?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        Ok(machine)
    }

    /// Puts the program into its `/usr/local/sbin`.
    pub(super) fn give_program(&self) -> Result<()> {
        let to = self.place.path().join("sbin/ovn-ic-db");
        Ok(symlink(executable(Program::Ours)?, to)?)
    }

    /// Runs a command there.
    pub(super) fn run(&self, command: &str) -> Result<Output> {
        let output = Command::new(require("timeout", "coreutils")?)
            .args(["--kill-after=5", LIMIT])
            .arg(self.place.path().join("enter"))
            .arg(command)
            .output()?;
        Ok(output)
    }

    /// The container that the document calls `ovn-ic-db`.
    pub(super) fn container(&self) -> Container {
        Container {
            name: format!("{}-{CONTAINER}", self.prefix),
        }
    }

    /// The name of [`Machine::container`] for [`Sandbox::run`].
    pub(super) fn container_name(&self) -> String {
        format!("{}-{CONTAINER}", self.name)
    }
}
