//! Where a bounded sink delivers to, if each entry may go another way.

use async_trait::async_trait;

use crate::{Consignment, ExportError};

/// Takes events out of a bounded sink, as an [`Exporter`](crate::Exporter) does, and says of each what became of it: for those that
/// deliver to several places, of which one may be in trouble while the others are not. One call at a time.
///
/// ```
/// use stageflow_events::{BoundedSink, Consignment, Courier, Entry, ExportError};
///
/// /// Where what belongs to somebody goes, and where what belongs to nobody does.
/// struct Desks { /* ... */ }
/// # impl Desks { async fn deliver(&mut self, _: &Entry) -> std::io::Result<()> { Ok(()) } }
///
/// #[async_trait::async_trait]
/// impl Courier for Desks {
///     async fn carry(&mut self, goods: &mut Consignment<'_>) -> Result<(), ExportError> {
///         let left: Vec<_> = goods.left().collect();
///         for (place, entry) in left {
///             match self.deliver(entry).await {
///                 Ok(()) => goods.taken([place]),
///                 Err(error) => goods.later([place], &error), // comes again, alone
///             }
///         }
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let sink = BoundedSink::each(Desks { /* ... */ }).start();
/// # drop(sink);
/// # }
/// ```
#[async_trait]
pub trait Courier: Send + 'static {
    /// Takes what is [left](Consignment::left), and notes what became of each. What it noted stays so, even if the call is dropped
    /// because it takes too long or the sink is stopped, or panics: only the rest comes again, or is lost.
    ///
    /// What nothing was noted of is taken, if it gives `Ok`. What comes [later](Consignment::later) is tried again as often as the
    /// sink's [`RetryPolicy`](crate::RetryPolicy) says, and is no failure to the breaker: somebody's trouble is not everybody's.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if all that nothing was noted of could not be taken: see [`Exporter::export`](crate::Exporter::export). What is
    /// [refused](crate::ExportErrorKind::Refused) are the last ones of those.
    async fn carry(&mut self, goods: &mut Consignment<'_>) -> Result<(), ExportError>;

    /// Makes what was taken durable, if that is not so yet.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if that cannot be done.
    async fn flush(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}
