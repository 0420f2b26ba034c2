//! Several journals as one.

use stageflow_events::EventRecord;

use super::ReadError;

/// The records of several journals as one, the oldest first: shards of one sink, or the files of one that is rotated. Each
/// of them keeps its own order; what one of them says at the same moment as another is ordered by its number in the run.
pub fn merged<I>(journals: impl IntoIterator<Item = I>) -> Merged<I>
where
    I: Iterator<Item = Result<EventRecord, ReadError>>,
{
    let mut journals: Vec<I> = journals.into_iter().collect();
    let heads = journals.iter_mut().map(Iterator::next).collect();
    Merged { journals, heads }
}

/// Several journals as one: see [`merged`].
#[derive(Debug)]
pub struct Merged<I> {
    journals: Vec<I>,
    /// The next of each.
    heads: Vec<Option<Result<EventRecord, ReadError>>>,
}

impl<I: Iterator<Item = Result<EventRecord, ReadError>>> Iterator for Merged<I> {
    type Item = Result<EventRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // An error is said at once: it has no time.
        let key = |head: &Option<Result<EventRecord, ReadError>>| match head {
            Some(Ok(record)) => Some((record.time_us, record.seq)),
            Some(Err(_)) => Some((0, 0)),
            None => None,
        };
        let keyed = self.heads.iter().map(key).enumerate();
        let (_, place) = keyed.filter_map(|(place, key)| Some((key?, place))).min()?;
        let next = self.journals[place].next();
        std::mem::replace(&mut self.heads[place], next)
    }
}
