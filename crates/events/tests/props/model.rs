//! What a bounded sink should hold: a list, and the rules in words.

use std::collections::VecDeque;

/// An event: its run, its place there, whether it is the engine's, and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) run: u64,
    pub(crate) seq: u64,
    pub(crate) is_audit: bool,
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Newest,
    Oldest,
    Wait,
}

/// What a receipt should say: accepted, dropped, dropped of the engine's, evicted.
pub(crate) type Said = [u64; 4];

/// Somebody who waits: what is left, and what was said so far.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: usize,
    pub(crate) left: VecDeque<Piece>,
    pub(crate) said: Said,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) capacity: usize,
    pub(crate) bytes: usize,
    pub(crate) policy: Policy,
    pub(crate) queue: Vec<Piece>,
    pub(crate) in_flight: Vec<Piece>,
    pub(crate) row: VecDeque<Waiter>,
    pub(crate) served: Vec<Waiter>,
    pub(crate) lost: Vec<Piece>,
    pub(crate) is_closed: bool,
}

impl Model {
    pub(crate) fn held(&self) -> impl Iterator<Item = &Piece> {
        self.queue.iter().chain(&self.in_flight)
    }

    fn fits(&self, piece: Piece) -> bool {
        let bytes: usize = self.held().map(|held| held.bytes).sum();
        self.held().count() < self.capacity && bytes + piece.bytes <= self.bytes
    }

    fn evict(&mut self) -> bool {
        let is_loose = |piece: &Piece| !piece.is_audit;
        let at = match self.policy {
            Policy::Oldest => self.queue.iter().position(is_loose),
            Policy::Newest | Policy::Wait => self.queue.iter().rposition(is_loose),
        };
        at.map(|at| self.queue.remove(at)).is_some_and(|piece| {
            self.lost.push(piece);
            true
        })
    }

    /// Whether there would be room if all that may go went.
    fn could_fit(&self, piece: Piece) -> bool {
        let stays: Vec<_> = self
            .held()
            .filter(|held| held.is_audit || self.in_flight.contains(held))
            .collect();
        let bytes: usize = stays.iter().map(|held| held.bytes).sum();
        stays.len() < self.capacity && bytes + piece.bytes <= self.bytes
    }

    /// Takes it in, or says that it cannot.
    fn take_in(&mut self, piece: Piece, said: &mut Said, may_evict: bool) -> bool {
        if self.is_closed || piece.bytes > self.bytes {
            return false;
        }
        let evicts = may_evict && (piece.is_audit || self.policy == Policy::Oldest);
        if evicts && self.could_fit(piece) {
            while !self.fits(piece) && self.evict() {
                said[3] += 1;
            }
        }
        let fits = self.fits(piece);
        if fits {
            self.queue.push(piece);
            said[0] += 1;
        }
        fits
    }

    fn drop_piece(&mut self, piece: Piece, said: &mut Said) {
        self.lost.push(piece);
        said[1] += 1;
        said[2] += u64::from(piece.is_audit);
    }

    pub(crate) fn try_emit(&mut self, pieces: impl IntoIterator<Item = Piece>) -> Said {
        let mut said = [0; 4];
        for piece in pieces {
            if !self.take_in(piece, &mut said, true) {
                self.drop_piece(piece, &mut said);
            }
        }
        said
    }

    /// What it says at once, or `None` if somebody waits now.
    pub(crate) fn emit(&mut self, id: usize, pieces: Vec<Piece>) -> Option<Said> {
        let mut waiter = Waiter {
            id,
            left: pieces.into(),
            said: [0; 4],
        };
        let queues_up = self.policy == Policy::Wait && !self.row.is_empty();
        if queues_up && !waiter.left.is_empty() || !self.go_on(&mut waiter) {
            self.row.push_back(waiter);
            return None;
        }
        Some(waiter.said)
    }

    /// Goes on with one who waits; `false` if they have to wait on.
    fn go_on(&mut self, waiter: &mut Waiter) -> bool {
        let may_evict = self.policy != Policy::Wait;
        while let Some(piece) = waiter.left.front().copied() {
            let is_patient = self.policy == Policy::Wait || piece.is_audit;
            let is_hopeless = piece.bytes > self.bytes || self.is_closed;
            if !self.take_in(piece, &mut waiter.said, may_evict) {
                if is_patient && !is_hopeless {
                    return false;
                }
                self.drop_piece(piece, &mut waiter.said);
            }
            waiter.left.pop_front();
        }
        true
    }

    fn serve(&mut self) {
        while let Some(mut waiter) = self.row.pop_front() {
            if !self.go_on(&mut waiter) {
                return self.row.push_front(waiter);
            }
            self.served.push(waiter);
        }
    }

    /// The wait of this one is over: what it is told.
    pub(crate) fn end_wait(&mut self, id: usize) -> Said {
        if let Some(at) = self.served.iter().position(|waiter| waiter.id == id) {
            return self.served.remove(at).said;
        }
        let at = self.row.iter().position(|waiter| waiter.id == id).unwrap();
        let mut waiter = self.row.remove(at).unwrap();
        let rest = self.try_emit(waiter.left.drain(..));
        self.serve();
        std::array::from_fn(|at| waiter.said[at] + rest[at])
    }

    /// What was in flight is delivered but for the last so many, and others have its room.
    pub(crate) fn settle(&mut self, lost: usize) {
        let keep = self.in_flight.len() - lost.min(self.in_flight.len());
        self.lost.extend(self.in_flight.drain(..).skip(keep));
        self.serve();
    }

    pub(crate) fn close(&mut self, discards: bool) {
        self.is_closed = true;
        if discards {
            self.lost.append(&mut self.queue);
        }
        self.serve();
    }

    pub(crate) fn end(&mut self) {
        self.lost.append(&mut self.in_flight);
        self.lost.append(&mut self.queue);
    }
}
