//! One connection, from its first byte to its last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::budget::Held;
use super::event::{Closed, Event, LinkId};
use super::identity::Refusal;
use super::inbox::{Framed, Inbox, Room};
use super::outbox::{Kind, Outbox};
use super::table::{Accepted, Shared};
use super::traffic;
use crate::entry::ServerId;
use crate::wire::Message;
use crate::wire::frame::{Frame, FrameWriter, Outgoing};

/// Where more than this is under way, the socket's taking it is a sign that the peer reads.
const LARGE: usize = 8 << 20;
/// How long what is queued may take to be written when the connection is closed by us.
const FLUSH: Duration = Duration::from_millis(300);
/// The probe's interval may change; it is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// The id of our probes; answers carry it.
const PROBE_ID: &[u8] = b"\"echo\"";

/// The parts of a connection that its tasks need.
pub(super) struct Running {
    shared: Arc<Shared>,
    id: LinkId,
    outbox: Arc<Outbox>,
    activity: Activity,
    /// It is known who is there. A dialled one was chosen by us.
    trusted: AtomicBool,
    /// It is a member, or was dialled.
    known: AtomicBool,
    /// A caller's [`Event::Connected`] is out.
    connected: AtomicBool,
    /// There was a right message.
    useful: AtomicBool,
}

/// When the peer was last heard of.
struct Activity {
    start: Instant,
    /// In milliseconds since the start.
    heard: AtomicU64,
    /// Nobody reads because the owner has not yet taken what came before.
    holding: AtomicBool,
}

impl Activity {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn mark(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    fn hold(&self, holding: bool) {
        self.holding.store(holding, Ordering::Relaxed);
        self.mark();
    }

    /// How long it has been silent.
    fn silence(&self) -> Duration {
        if self.holding.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let heard = self.heard.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(heard))
    }
}

impl Running {
    pub(super) fn new(shared: Arc<Shared>, id: LinkId, outbox: Arc<Outbox>, dialled: bool) -> Self {
        Running {
            shared,
            id,
            outbox,
            activity: Activity {
                start: Instant::now(),
                heard: AtomicU64::new(0),
                holding: AtomicBool::new(false),
            },
            trusted: AtomicBool::new(dialled),
            known: AtomicBool::new(dialled),
            connected: AtomicBool::new(dialled),
            useful: AtomicBool::new(false),
        }
    }

    /// The peer has said something right.
    pub(super) fn was_useful(&self) -> bool {
        self.useful.load(Ordering::Relaxed)
    }

    /// Reads, writes and probes until one of them ends.
    pub(super) async fn run(
        &self,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
        stop: tokio_util::sync::CancellationToken,
    ) -> Closed {
        let stopped = async {
            stop.cancelled().await;
            self.outbox.close();
            tokio::time::sleep(FLUSH).await;
        };
        let read = self.read(read);
        tokio::pin!(read);
        tokio::select! {
            closed = &mut read => closed,
            closed = self.write(write) => {
                // A socket that is closed with unread bytes in it takes back what it has sent.
                if closed == Closed::ByUs {
                    let _ = tokio::time::timeout(FLUSH, &mut read).await;
                }
                closed
            }
            closed = self.probe() => closed,
            () = stopped => Closed::ByUs,
        }
    }

    async fn read(&self, mut read: impl AsyncRead + Unpin) -> Closed {
        let mut inbox = Inbox::new();
        loop {
            match read.read_buf(inbox.space()).await {
                Ok(0) if inbox.has_part() => {
                    return Closed::Failed("closed in the middle of a message".into());
                }
                Ok(0) => return Closed::ByPeer,
                Ok(_) => self.activity.mark(),
                Err(error) => return failed(&error),
            }
            self.activity.hold(true);
            self.shared.go_on().await;
            if let Err(closed) = self.handle_all(&mut inbox).await {
                return closed;
            }
            self.activity.hold(false);
        }
    }

    async fn handle_all(&self, inbox: &mut Inbox) -> Result<(), Closed> {
        loop {
            match inbox.next(&self.room()) {
                Ok(None) => return Ok(()),
                Ok(Some(framed)) => self.handle(framed).await?,
                Err(refusal) => return Err(Closed::Refused(refusal)),
            }
        }
    }

    /// What a message on this connection may take.
    fn room(&self) -> Room<'_> {
        let settings = &self.shared.settings;
        Room {
            longest: match self.trusted.load(Ordering::Relaxed) {
                true => settings.max_message,
                false => settings.max_first_message,
            },
            budget: match self.known.load(Ordering::Relaxed) {
                true => &self.shared.of_members,
                false => &self.shared.of_strangers,
            },
        }
    }

    async fn handle(&self, framed: Framed) -> Result<(), Closed> {
        use ovsdb::message::Message as Rpc;
        let Framed {
            text,
            document,
            held,
        } = framed;
        let wrong = |error: String| Closed::Refused(Refusal::NotAMessage(error).into());
        match Rpc::parse(document.root()).map_err(wrong)? {
            Rpc::Notification { method, params } => {
                if traffic::is_logged() {
                    let (db, address) = (self.shared.db(), self.shared.address_of(self.id));
                    traffic::received(&db, &address, &method, params.source());
                }
                let message =
                    Message::from_notification(&method, params, &text).map_err(|error| {
                        let method: String = method.chars().take(40).collect();
                        wrong(format!("{}: {error}", method.escape_debug()))
                    })?;
                self.receive(message, held).await
            }
            Rpc::Request { method, params, id } if method == "echo" => {
                let reply = echo_reply(params.source(), id.source());
                if self.outbox.push(Kind::Other, reply) {
                    return Ok(());
                }
                Err(Closed::Failed("it does not read its answers".into()))
            }
            Rpc::Request { .. } => Err(wrong("expecting notification".into())),
            // Only our probes are answered, and that was heard already.
            Rpc::Reply { .. } => Ok(()),
        }
    }

    async fn receive(&self, message: Message, held: Held) -> Result<(), Closed> {
        let Accepted { known, caller } = self
            .shared
            .accept_message(self.id, &message)
            .map_err(Closed::Refused)?;
        self.trusted.store(true, Ordering::Relaxed);
        if known {
            self.known.store(true, Ordering::Relaxed);
        }
        self.useful.store(true, Ordering::Relaxed);
        if let Some(address) = caller {
            self.connected.store(true, Ordering::Relaxed);
            let from = message.head.from;
            if self.shared.may_log_traffic() {
                tracing::info!(
                    db = self.shared.db(),
                    "raft: server {from} calls from {address}"
                );
            }
            let event = Event::Connected {
                link: self.id,
                server: Some(from),
                address,
                dialled: false,
            };
            if !self.shared.tell(event).await {
                return Err(Closed::ByUs);
            }
        }
        match self.shared.hand_over(self.id, message, held).await {
            true => Ok(()),
            false => Err(Closed::ByUs),
        }
    }

    async fn write(&self, mut write: impl AsyncWrite + Unpin) -> Closed {
        let mut outgoing = Outgoing::default();
        while self.outbox.take(&mut outgoing).await {
            self.shared.go_on().await;
            while outgoing.has_remaining() {
                let large = outgoing.remaining() > LARGE;
                match write.write_buf(&mut outgoing).await {
                    Ok(0) => return Closed::Failed("nothing can be written".into()),
                    Ok(_) if large => self.activity.mark(),
                    Ok(_) => {}
                    Err(error) => return failed(&error),
                }
            }
            // TLS may have kept a part.
            if let Err(error) = write.flush().await {
                return failed(&error);
            }
        }
        // What was written still arrives before the end.
        let _ = write.shutdown().await;
        Closed::ByUs
    }

    /// Asks for a sign of life after a silence, and gives up after the next. Who calls must say
    /// something first.
    async fn probe(&self) -> Closed {
        let mut asked_at = None;
        loop {
            let interval = self.shared.probe();
            if !self.trusted.load(Ordering::Relaxed) {
                let age = self.activity.start.elapsed();
                let left = self.shared.settings.first_message.saturating_sub(age);
                if left.is_zero() {
                    return Closed::Refused(Refusal::SaysNothing.into());
                }
                tokio::time::sleep(left.min(interval)).await;
                continue;
            }
            if self.shared.is_halted() {
                self.shared.go_on().await;
                self.activity.mark();
            }
            let heard = self.activity.heard.load(Ordering::Relaxed);
            let silence = self.activity.silence();
            if silence < interval {
                tokio::time::sleep((interval - silence).min(LOOK)).await;
            } else if asked_at == Some(heard) {
                return Closed::Silent;
            } else {
                asked_at = Some(heard);
                self.outbox.push(Kind::Other, echo_request());
                tokio::time::sleep(interval).await;
            }
        }
    }

    /// Writes down and tells how it ended.
    pub(super) async fn finish(&self, address: String, why: Closed) {
        let shared = &self.shared;
        let link = self.id;
        let (server, remaining) = shared.remove_link(link);
        self.log(&address, server, &why);
        if let Closed::Refused(refusal) = &why {
            let event = Event::Refused {
                link,
                server,
                address: address.clone(),
                refusal: (**refusal).clone(),
            };
            shared.tell(event).await;
        }
        if self.connected.load(Ordering::Relaxed) {
            let event = Event::Disconnected {
                link,
                server,
                address,
                why,
                remaining,
            };
            shared.tell(event).await;
        }
    }

    fn log(&self, address: &str, server: Option<ServerId>, why: &Closed) {
        let db = self.shared.db();
        let who = match server {
            Some(server) => format!("server {server} ({address})"),
            None => address.to_owned(),
        };
        match why {
            Closed::ByUs => tracing::debug!(db, "raft: {who}: {why}"),
            Closed::Refused(_) if self.shared.may_log() => {
                tracing::warn!(db, "raft: {who} {why}: connection closed");
            }
            Closed::Refused(_) => {}
            _ if self.shared.may_log_traffic() => {
                tracing::info!(db, "raft: connection with {who} is gone: {why}");
            }
            _ => {}
        }
    }
}

fn failed(error: &std::io::Error) -> Closed {
    match ovsdb_tls::peer_refuses(error) {
        Some(why) => Closed::Refused(Refusal::Tls(why).into()),
        None => Closed::Failed(error.to_string()),
    }
}

fn echo_request() -> Frame {
    let mut out = FrameWriter::default();
    let bytes = out.bytes();
    bytes.extend_from_slice(b"{\"id\":");
    bytes.extend_from_slice(PROBE_ID);
    bytes.extend_from_slice(b",\"method\":\"echo\",\"params\":[]}");
    out.finish()
}

fn echo_reply(params: &[u8], id: &[u8]) -> Frame {
    let mut out = FrameWriter::default();
    let bytes = out.bytes();
    bytes.extend_from_slice(b"{\"id\":");
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(b",\"result\":");
    bytes.extend_from_slice(params);
    bytes.extend_from_slice(b",\"error\":null}");
    out.finish()
}
