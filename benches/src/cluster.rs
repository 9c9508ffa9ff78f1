//! Three members of one cluster on this machine, of one side of the comparison.
//!
//! Both sides start from the same files, made by `ovsdb-tool`: the first member's have the rows, the others join it.
//! The database is `OVN_IC_Southbound`, as our `run` serves no other; its northbound neighbour, which `run` serves
//! too, stays empty.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::contender::{Endpoint, Programs, Role, end_of};
use crate::dataset::{self, BULK, write_record};
use crate::reply::Expect;
use crate::swarm::Swarm;

/// The database that is measured.
pub const DATABASE: &str = "OVN_IC_Southbound";

const NORTHBOUND: &str = include_str!("../../schemas/ovn-ic-nb.ovsschema");
const SOUTHBOUND: &str = include_str!("../../schemas/ovn-ic-sb.ovsschema");

const MEMBERS: usize = 3;

/// How long the members may take until they are one cluster.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Ports of a member: clients of the northbound and the southbound, peers of either.
const PORTS: [&str; 4] = [
    "OVN_IC_DB_NB_PORT",
    "OVN_IC_DB_SB_PORT",
    "OVN_IC_DB_NB_RAFT_PORT",
    "OVN_IC_DB_SB_RAFT_PORT",
];

/// A running cluster. Its processes are killed and its files removed when it is dropped.
pub struct Cluster {
    members: Vec<Child>,
    folder: TempDir,
    addresses: Vec<Ipv4Addr>,
    /// The first of four.
    port: u16,
    unix: bool,
}

impl Cluster {
    /// Starts three members on a database with `rows` rows and waits until they are one cluster.
    pub fn start(
        programs: &Programs,
        role: Role,
        parent: &Path,
        rows: usize,
        unix: bool,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ovn-ic-db-bench-")
            .tempdir_in(parent)?;
        let (addresses, port) = free_addresses()?;
        let mut cluster = Self {
            members: Vec::new(),
            folder,
            addresses,
            port,
            unix,
        };
        for member in 0..MEMBERS {
            cluster.make_files(member, rows)?;
            let mut command = match programs.ours(role) {
                Some(ours) => cluster.ours(member, ours),
                None => cluster.reference(member),
            };
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(cluster.place(member).join("stderr"))?);
            let child = command.spawn();
            cluster
                .members
                .push(child.with_context(|| format!("cannot start {command:?}"))?);
        }
        cluster.wait(rows)?;
        Ok(cluster)
    }

    fn place(&self, member: usize) -> PathBuf {
        self.folder.path().join(member.to_string())
    }

    fn raft_address(&self, member: usize, port: u16) -> String {
        format!("tcp:{}:{port}", self.addresses[member])
    }

    /// Files as `ovsdb-tool create-cluster` and `join-cluster` make them.
    fn make_files(&self, member: usize, rows: usize) -> Result<()> {
        let place = self.place(member);
        std::fs::create_dir(&place)?;
        for (stem, name, port) in [
            ("ovn_ic_nb_db", "OVN_IC_Northbound", self.port + 2),
            ("ovn_ic_sb_db", DATABASE, self.port + 3),
        ] {
            let (file, own) = (
                place.join(stem).with_extension("db"),
                self.raft_address(member, port),
            );
            let mut tool = Command::new("ovsdb-tool");
            if member == 0 {
                let source = place.join(stem).with_extension("standalone");
                match name {
                    DATABASE => write_southbound(&source, rows)?,
                    _ => std::fs::write(&source, NORTHBOUND)?,
                }
                tool.arg("create-cluster").args([&file, &source]).arg(own);
            } else {
                tool.arg("join-cluster").arg(&file).args([name, &own]);
                tool.arg(self.raft_address(0, port));
            }
            let output = tool.output().context("ovsdb-tool does not start")?;
            ensure!(
                output.status.success(),
                "{tool:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn reference(&self, member: usize) -> Command {
        let at = |name: &str| self.place(member).join(name);
        let mut command = Command::new("ovsdb-server");
        command
            .arg("--no-chdir")
            .arg(format!(
                "--remote=punix:{}",
                at("ovn_ic_sb_db.sock").display()
            ))
            .arg(format!(
                "--remote=ptcp:{}:{}",
                self.port + 1,
                self.addresses[member]
            ))
            .arg(format!("--unixctl={}", at("ovn_ic_sb_db.ctl").display()))
            .arg(format!("--pidfile={}", at("ovn_ic_sb_db.pid").display()))
            .arg(format!("--log-file={}", at("log").display()))
            .arg("-vconsole:off")
            .arg(at("ovn_ic_sb_db.db"));
        command
    }

    fn ours(&self, member: usize, program: &Path) -> Command {
        let addresses: Vec<String> = self.addresses.iter().map(Ipv4Addr::to_string).collect();
        let mut command = Command::new(program);
        command
            .arg("run")
            .env("LOCAL_IP", &addresses[member])
            .env("NODE_IPS", addresses.join(","))
            .env("ENABLE_BIND_LOCAL_IP", "true")
            .env("TS_NAME", "")
            .envs(["OVN_DBDIR", "OVN_RUNDIR", "OVN_LOGDIR"].map(|name| (name, self.place(member))))
            .envs(
                (self.port..)
                    .map(|port| port.to_string())
                    .zip(PORTS)
                    .map(|(port, name)| (name, port)),
            );
        command
    }

    /// Where clients of a member connect to.
    pub fn endpoint(&self, member: usize) -> Endpoint {
        if self.unix {
            Endpoint::Unix(self.place(member).join("ovn_ic_sb_db.sock"))
        } else {
            Endpoint::Tcp(SocketAddr::from((self.addresses[member], self.port + 1)))
        }
    }

    /// The process ids of all members.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().map(Child::id).collect()
    }

    /// The member that says that it leads.
    pub fn leader(&self) -> Result<usize> {
        for member in 0..MEMBERS {
            if self.announced(member)?["leader"] == true {
                return Ok(member);
            }
        }
        bail!("nobody leads")
    }

    /// What a member tells its clients in `_Server.Database`.
    fn announced(&self, member: usize) -> Result<Value> {
        let request = format!(
            r#"{{"method":"transact","params":["_Server",{{"op":"select","table":"Database","where":[["name","==","{DATABASE}"]],"columns":["leader","connected"]}}],"id":0}}"#
        );
        let mut answer = self.ask(member, request.as_bytes(), Expect::Anything)?;
        Ok(answer["result"][0]["rows"][0].take())
    }

    fn ask(&self, member: usize, request: &[u8], expect: Expect) -> Result<Value> {
        let mut swarm = Swarm::new(self.endpoint(member))?;
        let connection = swarm.add()?;
        Ok(serde_json::from_slice(
            &swarm.call(connection, request, expect)?,
        )?)
    }

    /// Waits until there is a leader, all are connected, and all have the last row.
    fn wait(&mut self, rows: usize) -> Result<()> {
        let started = Instant::now();
        loop {
            let Err(error) = self.whole(rows) else {
                return Ok(());
            };
            for (number, member) in self.members.iter_mut().enumerate() {
                if let Some(status) = member.try_wait()? {
                    bail!(
                        "member {number} ended ({status}): {}",
                        self.complaint(number)
                    );
                }
            }
            if started.elapsed() > START_DEADLINE {
                let said = (0..MEMBERS).map(|number| self.complaint(number));
                return Err(error.context(said.collect::<String>()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn whole(&self, rows: usize) -> Result<()> {
        self.leader()?;
        let last = dataset::uuid(rows - 1);
        let request = format!(
            r#"{{"method":"transact","params":["{DATABASE}",{{"op":"select","table":"Datapath_Binding","where":[["_uuid","==",["uuid","{last}"]]]}}],"id":0}}"#
        );
        for member in 0..MEMBERS {
            ensure!(
                self.announced(member)?["connected"] == true,
                "member {member} is alone"
            );
            let answer = self.ask(member, request.as_bytes(), Expect::Anything)?;
            ensure!(
                answer["result"][0]["rows"][0].is_object(),
                "member {member} lacks rows"
            );
        }
        Ok(())
    }

    fn complaint(&self, member: usize) -> String {
        ["stderr", "log", "ovsdb-server-ic-sb.log"]
            .map(|name| end_of(&self.place(member).join(name)))
            .concat()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            // Already ended is as good.
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// A standalone file of the southbound schema with rows of `Datapath_Binding`.
fn write_southbound(path: &Path, rows: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let schema: Value = serde_json::from_str(SOUTHBOUND)?;
    write_record(&mut file, schema.to_string().into_bytes())?;
    for first in (0..rows).step_by(BULK) {
        let mut record = br#"{"_date":1700000000000,"_is_diff":true,"Datapath_Binding":{"#.to_vec();
        for number in first..rows.min(first + BULK) {
            let comma = if number > first { "," } else { "" };
            let (uuid, switch) = (dataset::uuid(number), switch_name(dataset::FIRST_SEQ));
            let key = number + 1;
            write!(
                record,
                r#"{comma}"{uuid}":{{"transit_switch":"{switch}","tunnel_key":{key}}}"#
            )?;
        }
        record.extend_from_slice(b"}}");
        write_record(&mut file, record)?;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// A value of the column that is updated.
pub fn switch_name(number: u64) -> String {
    format!("ts-{number}")
}

/// Three neighbouring loopback addresses, and the first of four ports that are free on all of them.
fn free_addresses() -> Result<(Vec<Ipv4Addr>, u16)> {
    let seed = Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id());
    for attempt in 0..100_u64 {
        let mixed = dataset::scramble(seed.wrapping_add(attempt << 32));
        // Below the ports that the system gives to outgoing connections.
        let port = 10_000 + (mixed % 20_000) as u16;
        let [a, b] = [(mixed >> 16) as u8, (mixed >> 24) as u8];
        let addresses: Vec<Ipv4Addr> = (1..=MEMBERS as u8)
            .map(|member| Ipv4Addr::new(127, a.clamp(1, 254), b, member))
            .collect();
        let free = |address: &Ipv4Addr| {
            (port..port + 4).all(|port| TcpListener::bind((*address, port)).is_ok())
        };
        if addresses.iter().all(free) {
            return Ok((addresses, port));
        }
    }
    bail!("no free loopback addresses")
}
