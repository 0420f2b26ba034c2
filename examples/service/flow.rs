//! Work that is seen while it is done, by one reader: without a task of its own, it ends when the reader goes.

use futures_util::future::Either;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

/// How many items wait for a slow reader.
const ROOM: usize = 64;

/// What `work` sends. It goes on whenever the stream is polled, and is dropped with it.
pub(crate) fn flow<T, W>(work: impl FnOnce(mpsc::Sender<T>) -> W) -> impl Stream<Item = T>
where
    W: Future<Output = ()>,
{
    let (send, receive) = mpsc::channel(ROOM);
    let work = work(send).into_stream().map(Either::Left);
    let sent = stream::unfold(receive, |mut receive| async {
        Some((receive.recv().await?, receive))
    });
    let both = stream::select(work, sent.map(Either::Right));
    both.filter_map(|item| async {
        match item {
            Either::Left(()) => None,
            Either::Right(item) => Some(item),
        }
    })
}
