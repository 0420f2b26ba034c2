//! What audit trails say of rows that somebody has planted, or changed beside their text.

use std::sync::Arc;

use stageflow_store::{AuditDraft, Class, Row, Shelf, Write};

use super::Sample;
use super::audit::{audit, drafts, key, three};
use crate::block_on;

pub(super) fn samples() -> Vec<Sample> {
    block_on(async {
        let mut samples = Vec::new();
        let (shelf, trail) = three().await;
        put(&shelf, Row::new(key(4), 1, "{}")).await;
        samples.push(audit(&trail.verify().await.unwrap_err(), "entry 4"));
        let error = trail.append(drafts(1)).await.unwrap_err();
        samples.push(audit(&error, "entry 4"));

        let (shelf, trail) = three().await;
        let mut row = shelf.get(Class::Audit, &key(2)).await.unwrap().unwrap();
        row.at += 1;
        put(&shelf, row).await;
        samples.push(audit(&trail.verify().await.unwrap_err(), "entry 2"));

        let (shelf, trail) = three().await;
        put(&shelf, Row::new("s/r.3", 1, "2")).await;
        let told = AuditDraft::new("auth.login").once("r.3");
        let error = trail.append(vec![told]).await.unwrap_err();
        samples.push(audit(&error, "entry 2"));
        samples
    })
}

async fn put(shelf: &Arc<dyn Shelf>, row: Row) {
    let class = Class::Audit;
    assert!(shelf.commit(vec![Write::Put { class, row }]).await.unwrap());
}
