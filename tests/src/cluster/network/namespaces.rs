//! One network namespace for each node, and one between them that routes.
//!
//! Node `i` has the address 10.77.(i + 1).1 on a link of its own to the
//! router, 10.77.(i + 1).254. A direction between two nodes is cut by a rule
//! of the router that drops its packets silently, as a broken link does, so no
//! firewall is needed, and no privilege: a user who is not root gets a user
//! namespace. A process holds each namespace, and ends when its standard input
//! is closed; the kernel removes what nobody holds.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};

use super::USUAL;
use super::slow::{Order, Pace, SlowLinks};
use crate::cluster::guard;
use crate::process::require;

/// The namespaces of one cluster.
#[derive(Debug)]
pub struct Namespaces {
    router: Holder,
    nodes: Vec<Holder>,
    cut: Mutex<BTreeSet<(usize, usize)>>,
    slow: OnceLock<SlowLinks>,
}

/// A process that keeps a namespace alive.
#[derive(Debug)]
struct Holder {
    child: Child,
    /// Whether it is in a user namespace as well.
    user: bool,
}

impl Namespaces {
    /// Makes the namespaces and the links.
    ///
    /// # Errors
    /// If the machine does not permit namespaces or lacks a program.
    pub fn make(nodes: usize) -> Result<Self> {
        let user = !rustix::process::geteuid().is_root();
        let router = Holder::start(&[], user).context(
            "a network namespace cannot be made here: run as root, or permit user namespaces",
        )?;
        router.run(&["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], "")?;
        router.ip("link set lo up\n")?;
        let mut made = Self {
            router,
            nodes: Vec::new(),
            cut: Mutex::default(),
            slow: OnceLock::new(),
        };
        for number in 0..nodes {
            made.add(number)?;
        }
        Ok(made)
    }

    fn add(&mut self, number: usize) -> Result<()> {
        let node = Holder::start(&self.router.enter(), self.router.user)?;
        let (link, pid) = (format!("node{number}"), node.child.id());
        let (own, gateway) = (Self::address(number), gateway(number));
        self.router.ip(&format!(
            "link add {link} type veth peer name eth0 netns {pid}\n\
             addr add {gateway}/24 dev {link}\n\
             link set {link} up\n"
        ))?;
        node.ip(&format!(
            "link set lo up\n\
             addr add {own}/24 dev eth0\n\
             link set eth0 up\n\
             route add default via {gateway}\n"
        ))?;
        self.nodes.push(node);
        Ok(())
    }

    /// The address of a node.
    #[must_use]
    pub fn address(node: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, node as u8 + 1, 1)
    }

    /// What a command line begins with to run at a node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn at_node(&self, node: usize) -> Vec<OsString> {
        self.nodes[node].enter()
    }

    /// What a command line begins with to run at the router.
    #[must_use]
    pub fn at_router(&self) -> Vec<OsString> {
        self.router.enter()
    }

    /// Drops all packets from one node to another from now on.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn cut(&self, from: usize, to: usize) -> Result<()> {
        if self.lock().insert((from, to)) {
            self.router.ip(&rule("add", from, to))?;
        }
        Ok(())
    }

    /// Lets the packets from one node to another through again.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn mend(&self, from: usize, to: usize) -> Result<()> {
        if self.lock().remove(&(from, to)) {
            self.router.ip(&rule("del", from, to))?;
        }
        Ok(())
    }

    /// Cuts a node from all others, both ways.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn isolate(&self, node: usize) -> Result<()> {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.cut(node, other)?;
            self.cut(other, node)?;
        }
        Ok(())
    }

    /// Mends everything that is cut.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn mend_all(&self) -> Result<()> {
        let cut = std::mem::take(&mut *self.lock());
        let lines: String = cut
            .iter()
            .map(|(from, to)| rule("del", *from, *to))
            .collect();
        self.router.ip(&lines)
    }

    /// From now on, what nodes dial at the peers' ports of each other goes
    /// through a relay that can be slow. Connections that exist end.
    ///
    /// # Errors
    /// If the relay does not start, or the system refuses.
    pub fn put_relay_between(&self) -> Result<()> {
        let ports = [USUAL.northbound_raft, USUAL.southbound_raft];
        let relay = SlowLinks::start(self.at_router(), &ports)?;
        ensure!(self.slow.set(relay).is_ok(), "there is a relay already");
        let mut lines = "route add local default dev lo table 100\n".to_owned();
        for (from, to) in self.pairs() {
            let (source, target) = (Self::address(from), Self::address(to));
            lines +=
                &format!("rule add from {source} to {target} iif node{from} prio 20 lookup 100\n");
        }
        self.router.ip(&lines)
    }

    /// Makes every direction of every link as slow as `pace` says. There must
    /// be a relay ([`Namespaces::put_relay_between`]).
    ///
    /// # Errors
    /// If there is none.
    pub fn slow_down(&self, pace: Pace) -> Result<()> {
        let relay = self.slow.get().context("there is no relay")?;
        self.pairs().into_iter().try_for_each(|(from, to)| {
            relay.tell(&Order {
                from: Self::address(from),
                to: Self::address(to),
                pace,
            })
        })
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = 0..self.nodes.len();
        all.clone()
            .flat_map(|from| all.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(usize, usize)>> {
        self.cut
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn gateway(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, node as u8 + 1, 254)
}

fn rule(verb: &str, from: usize, to: usize) -> String {
    let (from, to) = (Namespaces::address(from), Namespaces::address(to));
    format!("rule {verb} from {from} to {to} prio 10 blackhole\n")
}

impl Holder {
    /// Makes a new network namespace, from the one that `within` enters.
    fn start(within: &[OsString], user: bool) -> Result<Self> {
        let outermost = within.is_empty();
        let flags = if user && outermost { "-Urn" } else { "-n" };
        // It says when it is there, and then waits for the end of its input.
        let mut line = within.to_vec();
        line.extend(["unshare", flags, "sh", "-c", "echo && exec cat"].map(OsString::from));
        let mut command = command(&line)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = guard::spawn(command).context("unshare does not start")?;
        let mut made = [0];
        let stdout = child.stdout.as_mut().context("no output")?;
        let read = stdout.read_exact(&mut made);
        let holder = Self { child, user };
        read.context("unshare has failed")?;
        Ok(holder)
    }

    fn enter(&self) -> Vec<OsString> {
        let mut line = vec![
            "nsenter".to_owned(),
            "-t".into(),
            self.child.id().to_string(),
        ];
        if self.user {
            line.extend(["-U".into(), "--preserve-credentials".into()]);
        }
        line.extend(["-n".into(), "--".into()]);
        line.into_iter().map(OsString::from).collect()
    }

    fn ip(&self, lines: &str) -> Result<()> {
        let ip = require("ip", "iproute2")?;
        self.run(&[&ip.to_string_lossy(), "-batch", "-"], lines)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut line = self.enter();
        line.extend(arguments.iter().map(OsString::from));
        let mut child = command(&line)?
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        let fed = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success() && fed.is_ok(),
            "{arguments:?} with {input:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command whose first word is looked for as [`require`] does.
fn command(line: &[OsString]) -> Result<Command> {
    let (program, arguments) = line.split_first().context("an empty command")?;
    let mut command = Command::new(require(&program.to_string_lossy(), "util-linux")?);
    command.args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::wait_for;

    /// Packets to ports where nobody listens are counted by the receiver.
    #[test]
    fn directions_are_cut_and_mended_each_for_itself() -> Result<()> {
        let network = Namespaces::make(2)?;
        let send = |from: usize, to: usize| {
            let to = Namespaces::address(to);
            let script = format!("echo >/dev/udp/{to}/9");
            network.nodes[from].run(&["bash", "-c", &script], "")
        };
        let arrived = |node: usize| -> Result<u64> {
            let mut line = network.at_node(node);
            line.extend(["cat", "/proc/net/snmp"].map(OsString::from));
            let output = command(&line)?.output()?;
            let text = String::from_utf8(output.stdout)?;
            let figures = text.lines().filter(|line| line.starts_with("Udp: ")).nth(1);
            let figure = figures.and_then(|line| line.split(' ').nth(2));
            Ok(figure.context("no figure of UDP")?.parse()?)
        };
        let wait = |node: usize, count: u64| {
            wait_for("a packet", Duration::from_secs(5), || {
                Ok((arrived(node)? >= count).then_some(()))
            })
        };
        send(0, 1)?;
        wait(1, 1)?;
        network.cut(0, 1)?;
        send(0, 1)?;
        send(1, 0)?;
        wait(0, 1)?;
        network.mend_all()?;
        network.isolate(1)?;
        send(1, 0)?;
        network.mend(1, 0)?;
        network.mend(0, 1)?;
        send(1, 0)?;
        wait(0, 2)?;
        send(0, 1)?;
        wait(1, 2)?;
        ensure!((arrived(0)?, arrived(1)?) == (2, 2), "a cut lets through");
        Ok(())
    }
}
