//! Who is coming in: each has a task of its own, and there are only so many of them. When too many are
//! coming, the one that has been at it longest gives way, so that the slow hold up nobody.

use std::collections::VecDeque;

use tokio::task::{AbortHandle, JoinSet};

/// Connections that are being made by others. Dropped, they are given up.
#[derive(Debug)]
pub struct Coming<T> {
    tasks: JoinSet<Option<T>>,
    /// In the order of their arrival; some are in already.
    order: VecDeque<AbortHandle>,
    most: usize,
}

impl<T: Send + 'static> Coming<T> {
    /// At most so many at once.
    pub fn new(most: usize) -> Coming<T> {
        Coming {
            tasks: JoinSet::new(),
            order: VecDeque::new(),
            most,
        }
    }

    /// Begins to let one in; its task gives none if it is refused. Must be called in a runtime.
    pub fn add(&mut self, admit: impl Future<Output = Option<T>> + Send + 'static) {
        while self.order.len() >= self.most.max(1) {
            // Where it is over already this does nothing.
            if let Some(oldest) = self.order.pop_front() {
                oldest.abort();
            }
        }
        self.order.push_back(self.tasks.spawn(admit));
    }

    /// The next one that is in. Safe to cancel; never ends while nobody is coming.
    pub async fn next(&mut self) -> T {
        loop {
            match self.tasks.join_next().await {
                None => std::future::pending().await,
                Some(result) => {
                    self.order.retain(|one| !one.is_finished());
                    if let Ok(Some(one)) = result {
                        return one;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_the_quick_come_in() {
        let mut coming = Coming::new(2);
        let (stays, gone) = tokio::sync::oneshot::channel::<()>();
        coming.add(async move {
            let _stays = stays;
            std::future::pending().await
        });
        coming.add(std::future::pending());
        coming.add(async { Some(3) });
        assert_eq!(coming.next().await, 3);
        assert!(gone.await.is_err());
        coming.add(async { None });
        coming.add(async { Some(4) });
        assert_eq!(coming.next().await, 4);
    }
}
