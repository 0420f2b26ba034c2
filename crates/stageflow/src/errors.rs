//! Every error code, with what happened and how to fix it.
//!
//! A code has a module here, which is its page: [`sf0104`] is SF0104. The first digits say where an error comes from:
//!
//! | codes | type | met when |
//! |---|---|---|
//! | SF0101 to SF0112, SF0116 to SF0120, SF0124, SF0125, SF0127, SF0128 | [`Problem`](crate::graph::Problem), in a [`BuildError`](crate::graph::BuildError) | a pipeline is built |
//! | SF0113 to SF0115 | [`InputError`](crate::graph::InputError) | a stage that is wired by name reads its inputs |
//! | SF0126 | [`InputDigestError`](crate::graph::InputDigestError) | a layer asks for the digest of an input |
//! | SF0201 | [`IdError`](crate::context::IdError) | a text is parsed as an id |
//! | SF0202 to SF0207 | [`SnapshotError`](crate::context::SnapshotError) | a snapshot is written, read or extended |
//! | SF0208, SF0209 | [`OutputConflict`](crate::context::OutputConflict) | a stage records a value beside its output |
//! | SF0210 | [`DepthError`](crate::context::DepthError) | a run starts a run |
//! | SF0211 | [`NameError`](crate::context::NameError) | a text is parsed as a stage's name |
//! | SF0212 to SF0215 | [`EmitError`](crate::context::EmitError) | a stage emits an event of its own |
//! | SF0216 | [`OutputTypeError`](crate::context::OutputTypeError) | a recorded value is read |
//! | SF0217 to SF0219 | [`BudgetError`](crate::context::BudgetError) | something is set aside of a budget, or booked, or a budget is put under another |
//! | SF0220 | [`IdempotencyKeyError`](crate::context::IdempotencyKeyError) | a text is parsed as a key |
//! | SF0221 to SF0226 | [`SealError`](crate::context::SealError), [`TagError`](crate::context::TagError) | what was sealed is opened |
//! | SF0301 to SF0310, SF0313 to SF0315 | [`StageError`](crate::context::StageError) | a stage does not give its value |
//! | SF0309 | [`BadRoute`](crate::graph::BadRoute), as the cause of a [`StageError`](crate::context::StageError) | a route names an arm twice |
//! | SF0311, SF0406 to SF0408 | [`ChildError`](crate::executor::ChildError) | a stage runs a pipeline |
//! | SF0312 | [`ApprovalError`](crate::executor::ApprovalError) | a stage asks for approval |
//! | SF0316 | `SchemaError`, with the feature `schema` | a contract is made |
//! | SF0317 | `ContractError`, with the feature `schema` | a contract is registered |
//! | SF0401 to SF0405 | [`RunError`](crate::executor::RunError) | a report is asked for an output that is not there |
//! | SF0409 | [`PoolError`](crate::executor::PoolError), in a [`RunError`](crate::executor::RunError) | an engine cannot give what a stage needs |
//! | SF0410 | [`DeskError`](crate::executor::DeskError) | a request for approval is made or decided |
//! | SF0411, SF0412, SF0416 | [`StackError`](crate::interceptors::StackError) | an engine is built |
//! | SF0414 | [`Refusal`](crate::interceptors::Refusal), in a [`RunError`](crate::executor::RunError) | a run is not let in |
//! | SF0415 | [`PermissionError`](crate::executor::PermissionError), in a [`RunError`](crate::executor::RunError) | an engine has nobody who decides |
//! | SF0413 | [`UndoPlanError`](crate::events::UndoPlanError) | records are asked what is left to undo |
//! | SF0501 to SF0503 | [`ExportError`](crate::events::ExportError) | an exporter does not take what a bounded sink gives it |
//! | SF0504, SF0505 | [`SpillError`](crate::events::SpillError) | events that wait on disk |
//! | SF0506, SF0507 | [`JournalError`](crate::events::journal::JournalError) | a journal is opened |
//! | SF0508 | [`ChainError`](crate::events::journal::ChainError) | a journal is verified |
//! | SF0509, SF0510 | [`ReadError`](crate::events::journal::ReadError), [`HeadError`](crate::events::journal::HeadError) | a journal is read |
//! | SF0531 | [`TraceParentError`](crate::context::TraceParentError) | a trace comes from outside |
//! | SF0532 to SF0535 | `OtlpError`, in `stageflow-otel` | an exporter for a collector is made |
//! | SF0551 to SF0553 | `ReadError`, in `stageflow-lens` | a journal is read |
//! | SF0561, SF0562 | `SendError`, in `stageflow-streaming` | a chunk is put into a queue |
//! | SF0563 | `PlayoutError`, in `stageflow-streaming` | a playout buffer is made |
//! | SF0651 to SF0655, SF0659 | [`TenantError`](crate::tenancy::TenantError) | a tenant reaches for something, or a run is not let in |
//! | SF0656 to SF0658 | [`QuotaError`](crate::tenancy::QuotaError) | a run is not let in, as its tenant has used up what it may have |
//! | SF0660 to SF0662 | [`TenantsError`](crate::tenancy::TenantsError) | a registry of tenants is built or changed |
//! | SF0621 to SF0625, SF0634 | [`AccessError`](crate::auth::AccessError), as the cause of a [`StageError`](crate::context::StageError) | somebody may not do something |
//! | SF0626 to SF0630 | [`RbacError`](crate::auth::RbacError) | roles are put together |
//! | SF0631 to SF0633 | `CedarError`, with the feature `cedar` | Cedar policies are read |
//! | SF0640 | [`AccessError`](crate::auth::AccessError), as SF0621 to SF0625 | it belongs to another org, or to nobody |
//! | SF0601 to SF0611 | [`AuthError`](crate::auth::AuthError), as the cause of a [`Refusal`](crate::interceptors::Refusal) | a run is not let in, as it is not proved who asks |
//! | SF0612 | `KeyError`, with the feature `jwt` | keys for tokens are read or fetched |
//! | SF0613 | [`ApiKeyError`](crate::auth::ApiKeyError) | a key for a program is added |
//! | SF0701 to SF0704 | [`StoreError`](crate::interceptors::idempotency::StoreError), as the cause of a [`StageError`](crate::context::StageError) | work is to be done once |
//! | SF0711 to SF0719 | `StoreError`, in `stageflow-store` | something is kept or read |
//! | SF0730, SF0731 | `AuditError`, `AnchorError`, in `stageflow-store` | an audit trail is written or verified |
//! | SF0732, SF0733 | `ReceiptError`, `ErasureError`, in `stageflow-store` | a user is erased, or that is looked at again |
//!
//! In a program, compare `error.kind()`; codes are for people, logs and dashboards.

/// One module for each page. The digits stand alone, so that `cargo xtask errors --check` does not take this file for one
/// that reports the codes.
macro_rules! pages {
    ($($page:ident = $digits:literal;)*) => {
        $(
            #[doc = include_str!(concat!("../docs/errors/SF", $digits, ".md"))]
            pub mod $page {}
        )*
    };
}

pages! {
    sf0101 = "0101";
    sf0102 = "0102";
    sf0103 = "0103";
    sf0104 = "0104";
    sf0105 = "0105";
    sf0106 = "0106";
    sf0107 = "0107";
    sf0108 = "0108";
    sf0109 = "0109";
    sf0110 = "0110";
    sf0111 = "0111";
    sf0112 = "0112";
    sf0113 = "0113";
    sf0114 = "0114";
    sf0115 = "0115";
    sf0116 = "0116";
    sf0117 = "0117";
    sf0118 = "0118";
    sf0119 = "0119";
    sf0120 = "0120";
    sf0124 = "0124";
    sf0125 = "0125";
    sf0127 = "0127";
    sf0128 = "0128";
    sf0201 = "0201";
    sf0202 = "0202";
    sf0203 = "0203";
    sf0204 = "0204";
    sf0205 = "0205";
    sf0206 = "0206";
    sf0207 = "0207";
    sf0208 = "0208";
    sf0209 = "0209";
    sf0210 = "0210";
    sf0211 = "0211";
    sf0212 = "0212";
    sf0213 = "0213";
    sf0214 = "0214";
    sf0215 = "0215";
    sf0216 = "0216";
    sf0217 = "0217";
    sf0218 = "0218";
    sf0219 = "0219";
    sf0220 = "0220";
    sf0221 = "0221";
    sf0222 = "0222";
    sf0223 = "0223";
    sf0224 = "0224";
    sf0225 = "0225";
    sf0226 = "0226";
    sf0301 = "0301";
    sf0302 = "0302";
    sf0303 = "0303";
    sf0304 = "0304";
    sf0305 = "0305";
    sf0306 = "0306";
    sf0307 = "0307";
    sf0308 = "0308";
    sf0309 = "0309";
    sf0310 = "0310";
    sf0311 = "0311";
    sf0312 = "0312";
    sf0313 = "0313";
    sf0314 = "0314";
    sf0315 = "0315";
    sf0401 = "0401";
    sf0402 = "0402";
    sf0403 = "0403";
    sf0404 = "0404";
    sf0405 = "0405";
    sf0406 = "0406";
    sf0407 = "0407";
    sf0408 = "0408";
    sf0409 = "0409";
    sf0410 = "0410";
    sf0411 = "0411";
    sf0412 = "0412";
    sf0413 = "0413";
    sf0414 = "0414";
    sf0415 = "0415";
    sf0416 = "0416";
    sf0504 = "0504";
    sf0505 = "0505";
    sf0506 = "0506";
    sf0507 = "0507";
    sf0508 = "0508";
    sf0509 = "0509";
    sf0510 = "0510";
    sf0531 = "0531";
    sf0532 = "0532";
    sf0533 = "0533";
    sf0534 = "0534";
    sf0535 = "0535";
    sf0551 = "0551";
    sf0552 = "0552";
    sf0553 = "0553";
    sf0561 = "0561";
    sf0562 = "0562";
    sf0563 = "0563";
    sf0651 = "0651";
    sf0652 = "0652";
    sf0653 = "0653";
    sf0654 = "0654";
    sf0655 = "0655";
    sf0656 = "0656";
    sf0657 = "0657";
    sf0658 = "0658";
    sf0659 = "0659";
    sf0660 = "0660";
    sf0661 = "0661";
    sf0662 = "0662";
    sf0621 = "0621";
    sf0622 = "0622";
    sf0623 = "0623";
    sf0624 = "0624";
    sf0625 = "0625";
    sf0626 = "0626";
    sf0627 = "0627";
    sf0628 = "0628";
    sf0629 = "0629";
    sf0630 = "0630";
    sf0601 = "0601";
    sf0602 = "0602";
    sf0604 = "0604";
    sf0605 = "0605";
    sf0610 = "0610";
    sf0611 = "0611";
    sf0613 = "0613";
    sf0701 = "0701";
    sf0702 = "0702";
    sf0703 = "0703";
    sf0704 = "0704";
    sf0711 = "0711";
    sf0712 = "0712";
    sf0713 = "0713";
    sf0714 = "0714";
    sf0715 = "0715";
    sf0716 = "0716";
    sf0717 = "0717";
    sf0718 = "0718";
    sf0719 = "0719";
    sf0730 = "0730";
    sf0731 = "0731";
    sf0732 = "0732";
    sf0733 = "0733";
}

/// Their examples need features.
#[cfg(feature = "cache")]
mod of_cache {
    pages! {
        sf0126 = "0126";
    }
}

#[cfg(feature = "cedar")]
mod of_cedar {
    pages! {
        sf0631 = "0631";
        sf0632 = "0632";
        sf0633 = "0633";
    }
}

#[cfg(feature = "jwt")]
mod of_jwt {
    pages! {
        sf0603 = "0603";
        sf0606 = "0606";
        sf0607 = "0607";
        sf0608 = "0608";
        sf0609 = "0609";
        sf0612 = "0612";
    }
}

#[cfg(feature = "schema")]
mod of_schema {
    pages! {
        sf0316 = "0316";
        sf0317 = "0317";
    }
}

#[cfg(feature = "cache")]
pub use of_cache::*;
#[cfg(feature = "cedar")]
pub use of_cedar::*;
#[cfg(feature = "jwt")]
pub use of_jwt::*;
#[cfg(feature = "schema")]
pub use of_schema::*;
