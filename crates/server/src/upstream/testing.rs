//! For tests and fuzzers: a talk with another server, without a connection.

use ovsdb::json::Json;
use ovsdb::message::Message;

use super::{Leave, Outgoing, Talk};

/// This server's side of a talk; whoever calls is the other side.
pub struct Heard {
    talk: Box<dyn Talk>,
    out: Outgoing,
}

/// Why this side has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// It comes back.
    pub comes_back: bool,
    /// Its reason, if it says one.
    pub why: Option<String>,
}

impl From<Leave> for Left {
    fn from(leave: Leave) -> Left {
        let (comes_back, why) = match leave {
            Leave::AtOnce(why) | Leave::Later(why) => (true, Some(why)),
            Leave::ForGood => (false, None),
        };
        Left { comes_back, why }
    }
}

impl Heard {
    pub(crate) fn new(talk: impl Talk + 'static) -> Heard {
        Heard {
            talk: Box::new(talk),
            out: Outgoing::default(),
        }
    }

    /// There is a connection.
    pub fn begin(&mut self) {
        self.out = Outgoing::default();
        self.out.listen(true);
        self.talk.begin(&mut self.out);
    }

    /// The other side says something. What is no message ends the talk, as on a connection.
    pub fn hear(&mut self, said: Json<'_>) -> Result<(), Left> {
        let message = Message::parse(said).map_err(|why| Left {
            comes_back: true,
            why: Some(why),
        })?;
        self.talk.hear(&message, &mut self.out)?;
        Ok(())
    }

    /// There is something to do.
    pub fn look(&mut self) -> Result<(), Left> {
        self.talk.look(&mut self.out)?;
        Ok(())
    }

    /// What this side has said since it was asked last.
    pub fn said(&mut self) -> Vec<u8> {
        let said = self.out.listen(true);
        // As if it had been sent.
        self.out = Outgoing::default();
        self.out.listen(true);
        said
    }

    /// The connection is gone.
    pub fn end(&mut self) {
        self.talk.end();
    }
}
