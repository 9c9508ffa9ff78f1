//! Messages that are taken in the task that has read them, past the member's own task.
//!
//! These are the steps of every transaction, and each task on their way costs a lone client time. None of them needs an
//! order among other events: a reply finds its request or none, append requests have a queue, and what our own members send
//! each other is numbered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Inner;
use super::expelled::NO_MEMBER;
use crate::wire::stream::{Held, LinkId, Receiver};
use crate::wire::{Body, Message};

impl Receiver for Inner {
    fn take(
        self: Arc<Self>,
        link: LinkId,
        message: Message,
        held: Held,
    ) -> Option<(Message, Held)> {
        if !is_step(&message.body) || !self.serving.load(Ordering::Acquire) {
            return Some((message, held));
        }
        let Some(life) = self.life() else {
            return Some((message, held));
        };
        let from = message.head.from;
        self.contacts.lock().heard(from, Instant::now());
        self.on_message(&life, link, message, held);
        None
    }
}

fn is_step(body: &Body) -> bool {
    match body {
        Body::AppendRequest(_) | Body::AppendReply(_) => true,
        Body::Own(own) => own.kind != NO_MEMBER,
        _ => false,
    }
}
