//! Members on loopback addresses, and clients of their databases.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ovsdb::json::Document;
use ovsdb::{Schema, Uuid};
use ovsdb_cluster::file::{ClusterFile, Contents, Founding, Identity, Position};
use ovsdb_cluster::node::Settings;
use ovsdb_cluster::wire::Announcement;
use ovsdb_cluster::wire::extension::{OWN_MESSAGES, PRE_VOTE};
use ovsdb_engine::{Role, Transaction, Version};
use ovsdb_log::{Disk, Lock};
use ovsdb_server::clustered::Clustered;
use ovsdb_server::database::{Answer, Job, JobKey};
use ovsdb_server::service::Service;
use tokio::sync::oneshot;

const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","tables":{
    "RBAC_Role":{"isRoot":true,"columns":{"name":{"type":"string"}}},
    "T":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}"#;

pub async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An address that nobody uses.
fn free(ip: &str) -> SocketAddr {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("free port");
    listener.local_addr().expect("address")
}

pub struct Member {
    path: PathBuf,
    listen: SocketAddr,
    running: Option<Arc<Clustered>>,
}

pub struct Reply(oneshot::Receiver<String>);

impl Reply {
    pub async fn get(self) -> String {
        let reply = tokio::time::timeout(Duration::from_secs(20), self.0);
        reply.await.expect("answer in time").expect("answer")
    }
}

struct Tell(parking_lot::Mutex<Option<oneshot::Sender<String>>>);

impl Tell {
    fn tell(&self, text: String) {
        if let Some(sender) = self.0.lock().take() {
            let _ = sender.send(text);
        }
    }
}

impl Answer for Tell {
    fn done(&self, results: Vec<u8>) {
        self.tell(String::from_utf8(results).expect("UTF-8"));
    }

    fn blocked(&self, _: Option<u64>) {}

    fn canceled(&self) {
        self.tell("canceled".to_owned());
    }

    fn unknown(&self) {
        self.tell("unknown".to_owned());
    }
}

impl Member {
    pub fn clustered(&self) -> &Arc<Clustered> {
        self.running.as_ref().expect("running")
    }

    pub fn is_leader(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.place().borrow().leading.is_some())
    }

    /// Makes another member lead, if this one does.
    pub async fn transfer_leadership(&self) {
        let node = self.clustered().node().expect("node");
        node.transfer_leadership().await;
    }

    fn settings(&self) -> Settings {
        Settings {
            db: "D".to_owned(),
            listen: vec![self.listen.into()],
            wire: Default::default(),
            log: Default::default(),
            announcement: Announcement::new([OWN_MESSAGES, PRE_VOTE]),
            also: Vec::new(),
        }
    }

    async fn run(&mut self, file: ClusterFile) {
        let service = Service::new();
        let clustered = Clustered::start(
            service.expect("service"),
            file,
            Arc::new(Disk),
            self.settings(),
            None,
        );
        self.running = Some(clustered.await.expect("started"));
    }

    pub fn submit(&self, n: i64) -> Reply {
        self.submit_limited(n, false, None)
    }

    /// An insert of a client that may not do everything.
    pub fn submit_limited(&self, n: i64, read_only: bool, role: Option<Role>) -> Reply {
        let text = format!(r#"["D",{{"op":"insert","table":"T","row":{{"n":{n}}}}}]"#);
        let document = Document::parse(text.clone()).expect("JSON");
        let database = self.clustered().database().expect("contents");
        let schema = database.committed().version.schema().clone();
        let (sender, receiver) = oneshot::channel();
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        database.submit(Job {
            key: JobKey {
                session: 0,
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
            },
            transaction: Transaction::parse(document.root(), &schema, Uuid::new_v4),
            read_only,
            role: role.map(Arc::new),
            arrived: Instant::now(),
            owns_lock: Arc::new(|_| false),
            answer: Arc::new(Tell(parking_lot::Mutex::new(Some(sender)))),
            text: text.into(),
            id: None,
            order: 0,
            passed_on_in: None,
        });
        Reply(receiver)
    }

    pub async fn insert(&self, n: i64) -> String {
        self.submit(n).get().await
    }

    /// The numbers in the table, sorted.
    pub fn numbers(&self) -> Vec<i64> {
        let Some(database) = self.clustered().database() else {
            return Vec::new();
        };
        let version = database.committed().version.clone();
        let table = version.schema().find("T").expect("table");
        let column = version.schema().table(table).find("n").expect("column");
        let rows = version.table(table).rows();
        let number = |row: &Arc<ovsdb_engine::Row>| {
            let atoms = row.get(column).atoms();
            match atoms.first() {
                Some(ovsdb::Atom::Integer(n)) => *n,
                other => panic!("{other:?}"),
            }
        };
        let mut numbers: Vec<i64> = rows.map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

pub struct Cluster {
    _folder: tempfile::TempDir,
    members: Vec<Member>,
}

impl Cluster {
    /// A cluster in which all are members.
    pub async fn start(count: u8) -> Cluster {
        if std::env::var_os("RUST_LOG").is_some() {
            let _ = tracing_subscriber::fmt::try_init();
        }
        let folder = tempfile::tempdir().expect("folder");
        let mut cluster = Cluster {
            members: Vec::new(),
            _folder: folder,
        };
        for n in 0..count {
            let path = cluster._folder.path().join(format!("{n}.db"));
            let listen = free("127.0.0.1");
            let lock = Lock::acquire(&path).expect("lock");
            let server_id = Uuid::new_v4();
            let local_address = format!("tcp:{listen}");
            let contents = match cluster.members.first() {
                None => {
                    let schema = Schema::from_text(SCHEMA.as_bytes()).expect("schema");
                    let founding = Founding {
                        behind: Position::default(),
                        server_id,
                        cluster_id: Uuid::new_v4(),
                        eid: Uuid::new_v4(),
                        local_address,
                        election_timer: None,
                        date: 0,
                        comment: None,
                    };
                    Contents::new_cluster(founding, &Version::empty(Arc::new(schema)))
                }
                Some(first) => {
                    let identity = Identity {
                        server_id,
                        cluster_id: None,
                        name: "D".to_owned(),
                        local_address,
                    };
                    Contents::joining(identity, vec![format!("tcp:{}", first.listen)])
                }
            };
            let contents = contents.expect("contents");
            let file = ClusterFile::create(Arc::new(Disk), lock, &contents).expect("file");
            let mut member = Member {
                path,
                listen,
                running: None,
            };
            member.run(file).await;
            cluster.members.push(member);
        }
        for member in cluster.members() {
            wait_for("membership", || {
                let place = member.clustered().place().borrow().clone();
                let node = member.clustered().node().expect("node");
                let standing = node.standing();
                standing.joining.is_none()
                    && standing.members.len() == usize::from(count)
                    && place.connected
                    && member.clustered().database().is_some()
            })
            .await;
        }
        cluster
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    pub fn member(&self, n: usize) -> &Member {
        &self.members[n]
    }

    /// Who leads, once somebody does.
    pub async fn leader(&self) -> usize {
        let find = || self.members.iter().position(Member::is_leader);
        wait_for("leader", || find().is_some()).await;
        find().expect("leader")
    }

    pub async fn stop(&mut self, n: usize) {
        if let Some(running) = self.members[n].running.take() {
            running.stop().await;
        }
    }

    pub async fn restart(&mut self, n: usize) {
        let member = &mut self.members[n];
        let path = member.path.clone();
        let mut lock = None;
        wait_for("lock", || {
            lock = Lock::acquire(&path).ok();
            lock.is_some()
        })
        .await;
        let file = ClusterFile::open(Arc::new(Disk), lock.expect("lock")).expect("file");
        member.run(file).await;
    }

    pub async fn stop_all(mut self) {
        for n in 0..self.members.len() {
            self.stop(n).await;
        }
    }
}
