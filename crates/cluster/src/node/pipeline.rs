//! Append requests to one peer, one behind the other.
//!
//! Entries wait for the reply to the entries before them: what comes meanwhile goes together, with one
//! sync at the peer. What carries none, and only says what is committed, holds nothing up. Where entries follow one another
//! it waits a moment for those that it can go with: a lone client's next transaction mostly comes right behind the answer to
//! the one before, and a message less is work less for both sides.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use openraft::error::RPCError;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult};
use tokio::time::{Instant, Sleep};

use super::network::{AskedAppend, Network};
use crate::raft::{LogId, TypeConfig};

/// What openraft is told of one request.
pub(super) type StreamResponse = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

type Request = AppendEntriesRequest<TypeConfig>;
type Response = Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>>;

/// So many requests may be on their way.
const MOST: usize = 16;
/// How long news of what is committed waits for entries. A peer of our kind whose clients wait for it has it with their
/// answers.
const HOLD: Duration = Duration::from_millis(4);

/// Where requests go.
pub(super) trait Sends: Sync {
    /// One that has been sent.
    type Sent: Answered;

    /// Sends one. Does not wait.
    fn send(&self, request: Request) -> Result<Self::Sent, RPCError<TypeConfig>>;

    /// How long news of what is committed may wait for entries.
    fn patience(&self) -> Duration;
}

/// A request that is to be answered.
pub(super) trait Answered: Send {
    /// Waits for the answer. Whoever stops waiting may go on later.
    fn response(&mut self) -> impl Future<Output = Response> + Send;
}

impl Sends for Network {
    type Sent = AskedAppend;

    fn send(&self, request: Request) -> Result<AskedAppend, RPCError<TypeConfig>> {
        Ok(self.begin_append(request)?)
    }

    fn patience(&self) -> Duration {
        match self.is_ours() {
            true => HOLD,
            // One of the old kind takes its clients' next transaction only after this.
            false => Duration::ZERO,
        }
    }
}

impl Answered for AskedAppend {
    async fn response(&mut self) -> Response {
        AskedAppend::response(self).await
    }
}

/// A request on its way.
struct OnItsWay<A> {
    sent: A,
    prev: Option<LogId>,
    last: Option<LogId>,
    has_entries: bool,
}

/// A request that is not sent yet. The next one says what it does, and the answer to that is one for both.
struct Held {
    request: Request,
    until: Instant,
}

/// Requests that come, and those on their way, in their order.
struct Pipeline<'a, N: Sends, S> {
    network: &'a N,
    requests: S,
    on_their_way: VecDeque<OnItsWay<N::Sent>>,
    held: Option<Held>,
    /// When to look at what is held. It is set to a later time only when it is over: a timer that is set wakes a thread.
    timer: Pin<Box<Sleep>>,
    is_set: bool,
    /// When the last entries were sent.
    sent_at: Option<Instant>,
    /// They came so soon after others that more are worth waiting for.
    close: bool,
    exhausted: bool,
}

/// Sends requests as they come. The responses have their order; the first that is no success is the last.
pub(super) fn responses<'a, N, S>(
    network: &'a N,
    requests: S,
) -> impl Stream<Item = StreamResponse> + Send + 'a
where
    N: Sends,
    S: Stream<Item = Request> + Send + Unpin + 'a,
{
    let pipeline = Pipeline {
        network,
        requests,
        on_their_way: VecDeque::new(),
        held: None,
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        is_set: false,
        sent_at: None,
        close: false,
        exhausted: false,
    };
    stream::unfold(Some(pipeline), |pipeline| async {
        let mut pipeline = pipeline?;
        let response = pipeline.next().await?;
        let goes_on = matches!(response, Ok(Ok(_)));
        Some((response, goes_on.then_some(pipeline)))
    })
}

/// What has happened.
enum Event {
    Response(Response),
    Request(Option<Request>),
    /// What is held may have waited long enough.
    Timer,
}

impl<N, S> Pipeline<'_, N, S>
where
    N: Sends,
    S: Stream<Item = Request> + Unpin,
{
    /// The next response; none when all requests are answered.
    async fn next(&mut self) -> Option<StreamResponse> {
        loop {
            let is_over = self.exhausted && self.on_their_way.is_empty() && self.held.is_none();
            if is_over {
                return None;
            }
            let sent = match self.event().await {
                Event::Response(response) => return self.answered(response),
                Event::Request(Some(request)) => self.take(request),
                Event::Request(None) => {
                    self.exhausted = true;
                    self.send_held()
                }
                Event::Timer => self.look_at_held(),
            };
            if let Err(error) = sent {
                return Some(Err(error));
            }
        }
    }

    async fn event(&mut self) -> Event {
        let takes_more = self.takes_more();
        let (requests, first) = (&mut self.requests, self.on_their_way.front_mut());
        let response = async {
            match first {
                Some(first) => first.sent.response().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            response = response => Event::Response(response),
            request = requests.next(), if takes_more => Event::Request(request),
            () = &mut self.timer, if self.held.is_some() => Event::Timer,
        }
    }

    fn takes_more(&self) -> bool {
        !self.exhausted
            && self.on_their_way.len() < MOST
            && !self.on_their_way.iter().any(|one| one.has_entries)
    }

    /// Sends a request, or holds it.
    fn take(&mut self, request: Request) -> Result<(), RPCError<TypeConfig>> {
        let before = self.held.take();
        let (now, patience) = (Instant::now(), self.network.patience());
        if !request.entries.is_empty() {
            let sent_at = self.sent_at.replace(now);
            self.close = sent_at.is_some_and(|sent_at| now - sent_at < patience);
            return self.send(request);
        }
        if !self.close {
            return self.send(request);
        }
        let until = before.map_or_else(|| now + patience, |before| before.until);
        if !self.is_set {
            self.set_timer(until);
        }
        self.held = Some(Held { request, until });
        Ok(())
    }

    fn set_timer(&mut self, until: Instant) {
        self.timer.as_mut().reset(until);
        self.is_set = true;
    }

    fn look_at_held(&mut self) -> Result<(), RPCError<TypeConfig>> {
        self.is_set = false;
        match &self.held {
            Some(held) if held.until > Instant::now() => {
                self.set_timer(held.until);
                Ok(())
            }
            _ => {
                // It seems that nothing follows.
                self.close = false;
                self.send_held()
            }
        }
    }

    fn send_held(&mut self) -> Result<(), RPCError<TypeConfig>> {
        match self.held.take() {
            Some(held) => self.send(held.request),
            None => Ok(()),
        }
    }

    fn send(&mut self, request: Request) -> Result<(), RPCError<TypeConfig>> {
        let prev = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(prev);
        let has_entries = !request.entries.is_empty();
        self.on_their_way.push_back(OnItsWay {
            sent: self.network.send(request)?,
            prev,
            last,
            has_entries,
        });
        Ok(())
    }

    /// The first one is answered.
    fn answered(&mut self, response: Response) -> Option<StreamResponse> {
        let OnItsWay { prev, last, .. } = self.on_their_way.pop_front()?;
        Some(response.map(|response| response.into_stream_result(prev, last)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use openraft::error::NetworkError;
    use parking_lot::Mutex;
    use tokio::sync::{mpsc, oneshot};
    use uuid::Uuid;

    use super::*;
    use crate::entry::{Entry, Payload};
    use crate::raft::{Vote, to_raft};

    /// A peer that answers when it is told to.
    #[derive(Default)]
    struct Peer {
        asked: Mutex<Vec<oneshot::Sender<AppendEntriesResponse<TypeConfig>>>>,
        patience: Duration,
    }

    impl Peer {
        fn received(&self) -> usize {
            self.asked.lock().len()
        }

        /// Answers the oldest that has none.
        fn answer(&self, response: AppendEntriesResponse<TypeConfig>) {
            let sent = self.asked.lock().remove(0).send(response);
            assert!(sent.is_ok(), "nobody waits for it");
        }

        fn breaks(&self) {
            self.asked.lock().clear();
        }
    }

    impl Sends for Arc<Peer> {
        type Sent = oneshot::Receiver<AppendEntriesResponse<TypeConfig>>;

        fn send(&self, _: Request) -> Result<Self::Sent, RPCError<TypeConfig>> {
            let (sender, receiver) = oneshot::channel();
            self.asked.lock().push(sender);
            Ok(receiver)
        }

        fn patience(&self) -> Duration {
            self.patience
        }
    }

    impl Answered for oneshot::Receiver<AppendEntriesResponse<TypeConfig>> {
        async fn response(&mut self) -> Response {
            let lost = |error| RPCError::Network(NetworkError::new(&error));
            self.await.map_err(lost)
        }
    }

    fn request(prev: u64, entries: u64) -> Request {
        let entry = |index| {
            to_raft(Entry {
                term: 1,
                index,
                payload: Payload::Empty,
            })
        };
        let entries = (prev + 1..=prev + entries).map(entry);
        AppendEntriesRequest {
            vote: Vote::new_committed(1, Uuid::from_u128(1)),
            prev_log_id: Some(LogId::new(1, prev)),
            entries: entries.collect::<Result<_, _>>().expect("entries"),
            leader_commit: None,
        }
    }

    /// A peer, the way to give requests for it, and what openraft would be told.
    fn begin(
        peer: Peer,
    ) -> (
        Arc<Peer>,
        mpsc::UnboundedSender<Request>,
        mpsc::UnboundedReceiver<StreamResponse>,
    ) {
        let peer = Arc::new(peer);
        let (give, mut given) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let network = peer.clone();
        tokio::spawn(async move {
            let requests = stream::poll_fn(move |context| given.poll_recv(context));
            let mut responses = Box::pin(responses(&network, requests));
            while let Some(response) = responses.next().await {
                let _ = tell.send(response);
            }
        });
        (peer, give, told)
    }

    /// A peer that hears at once what is committed, or after so long a time.
    fn told_after(patience: Duration) -> Peer {
        Peer {
            patience,
            ..Peer::default()
        }
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Entries come close after others.
    async fn follow_one_another(
        peer: &Peer,
        give: &mpsc::UnboundedSender<Request>,
        told: &mut mpsc::UnboundedReceiver<StreamResponse>,
    ) {
        for before in [3, 4] {
            give.send(request(before, 1)).expect("taken");
            settle().await;
            peer.answer(AppendEntriesResponse::Success);
            assert_eq!(index(told.recv().await.expect("an answer")), before + 1);
        }
    }

    fn index(response: StreamResponse) -> u64 {
        let last = response.expect("a response").expect("success");
        last.expect("a place").index
    }

    #[tokio::test]
    async fn only_entries_hold_up_what_comes_behind_them() {
        let (peer, give, mut told) = begin(Peer::default());
        for one in [request(5, 0), request(5, 0), request(5, 2), request(7, 1)] {
            give.send(one).expect("taken");
        }
        settle().await;
        assert_eq!(peer.received(), 3);
        peer.answer(AppendEntriesResponse::Success);
        peer.answer(AppendEntriesResponse::Success);
        settle().await;
        assert_eq!(peer.received(), 1, "the second entries wait for the first");
        assert_eq!(index(told.recv().await.expect("an answer")), 5);
        assert_eq!(index(told.recv().await.expect("an answer")), 5);
        assert!(told.recv().now_or_never().is_none());
        peer.answer(AppendEntriesResponse::Success);
        settle().await;
        assert_eq!(peer.received(), 1);
        peer.answer(AppendEntriesResponse::Success);
        assert_eq!(index(told.recv().await.expect("an answer")), 7);
        assert_eq!(index(told.recv().await.expect("an answer")), 8);
        drop(give);
        assert!(told.recv().await.is_none(), "it ends with the requests");
    }

    #[tokio::test]
    async fn what_carries_no_entries_goes_with_the_next_ones() {
        let (peer, give, mut told) = begin(told_after(Duration::from_secs(3600)));
        follow_one_another(&peer, &give, &mut told).await;
        for one in [request(5, 0), request(5, 0)] {
            give.send(one).expect("taken");
        }
        settle().await;
        assert_eq!(peer.received(), 0);
        give.send(request(5, 2)).expect("taken");
        settle().await;
        assert_eq!(peer.received(), 1, "one says what all three do");
        peer.answer(AppendEntriesResponse::Success);
        assert_eq!(index(told.recv().await.expect("an answer")), 7);
        // Nor is it kept back when the requests end.
        give.send(request(7, 0)).expect("taken");
        drop(give);
        settle().await;
        assert_eq!(peer.received(), 1);
    }

    #[tokio::test]
    async fn what_is_committed_is_told_alone_when_nothing_comes() {
        let (peer, give, mut told) = begin(told_after(HOLD));
        // Twice: the timer is set again.
        for _ in 0..2 {
            follow_one_another(&peer, &give, &mut told).await;
            give.send(request(5, 0)).expect("taken");
            while peer.received() == 0 {
                tokio::time::sleep(HOLD).await;
            }
            peer.answer(AppendEntriesResponse::Success);
            assert_eq!(index(told.recv().await.expect("an answer")), 5);
        }
    }

    #[tokio::test]
    async fn what_is_committed_is_told_at_once_where_no_entries_follow_one_another() {
        let (peer, give, mut told) = begin(told_after(Duration::from_secs(3600)));
        for one in [request(4, 1), request(5, 0)] {
            give.send(one).expect("taken");
        }
        settle().await;
        for _ in 0..2 {
            assert_eq!(peer.received(), 1);
            peer.answer(AppendEntriesResponse::Success);
            assert_eq!(index(told.recv().await.expect("an answer")), 5);
            settle().await;
        }
    }

    #[tokio::test]
    async fn a_conflict_and_a_lost_connection_end_it() {
        let (peer, give, mut told) = begin(Peer::default());
        give.send(request(5, 0)).expect("taken");
        give.send(request(5, 1)).expect("taken");
        settle().await;
        peer.answer(AppendEntriesResponse::Conflict);
        let answer = told.recv().await.expect("an answer");
        assert!(answer.is_ok_and(|result| result.is_err()));
        assert!(told.recv().await.is_none());

        let (peer, give, mut told) = begin(Peer::default());
        give.send(request(5, 0)).expect("taken");
        give.send(request(5, 1)).expect("taken");
        settle().await;
        peer.breaks();
        assert!(told.recv().await.expect("an answer").is_err());
        assert!(told.recv().await.is_none());
    }

    #[tokio::test]
    async fn so_many_are_on_their_way() {
        let (peer, give, _told) = begin(Peer::default());
        for _ in 0..2 * MOST {
            give.send(request(5, 0)).expect("taken");
        }
        settle().await;
        assert_eq!(peer.received(), MOST);
    }
}
