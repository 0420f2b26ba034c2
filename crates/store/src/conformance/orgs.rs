//! The wall between orgs.

use stageflow_context::{OrgId, SystemIds};

use super::bench::{Bench, Found, commits, delete, expect, holds, insert, put, swap, text};
use crate::{Class, Row, Scan, Store};

const CLASS: Class = Class::Documents;

pub(super) async fn apart<S: Store>(bench: &Bench<S>) -> Found {
    let (a, b) = (
        OrgId::generate(&SystemIds::new()),
        OrgId::generate(&SystemIds::new()),
    );
    let (of_a, of_b) = (bench.shelf_of(a).await?, bench.shelf_of(b).await?);
    expect("whose it is", &(of_a.org(), of_b.org()), &(a, b))?;
    let row = |body: &str| Row::new("k", 1, body);
    for class in Class::ALL {
        commits(&*of_a, vec![insert(class, &row("a's"))], true).await?;
        // Neither what is there nor that something is there can be seen.
        holds(&*of_b, class, "k", None).await?;
        let rows = of_b.scan(Scan::of(class)).await.map_err(text)?;
        expect("rows of the other", &rows.len(), &0)?;
        commits(&*of_b, vec![swap(class, &row("b's"), 0)], false).await?;
        commits(&*of_b, vec![delete(class, "k")], true).await?;
        holds(&*of_a, class, "k", Some(("a's", 0))).await?;
        commits(&*of_b, vec![insert(class, &row("b's"))], true).await?;
        commits(&*of_b, vec![put(class, &row("b's"))], true).await?;
        holds(&*of_a, class, "k", Some(("a's", 0))).await?;
        holds(&*of_b, class, "k", Some(("b's", 1))).await?;
    }
    // Opened again, it is the same.
    let again = bench.shelf_of(a).await?;
    holds(&*again, CLASS, "k", Some(("a's", 0))).await?;
    commits(&*again, vec![delete(CLASS, "k")], true).await?;
    holds(&*of_a, CLASS, "k", None).await?;
    holds(&*of_b, CLASS, "k", Some(("b's", 1))).await
}

pub(super) async fn texts<S: Store>(bench: &Bench<S>) -> Found {
    let (of_a, of_b) = (bench.shelf().await?, bench.shelf().await?);
    commits(&*of_a, vec![insert(CLASS, &Row::new("k", 1, "a's"))], true).await?;
    let statements = [
        "' OR '1'='1",
        "'; DELETE FROM documents; --",
        "'; DROP TABLE documents; --",
        "k' UNION SELECT * FROM documents --",
        "$1",
        "?1",
        "\\",
        "\"",
    ];
    for text_ in statements {
        let row = Row::new(text_, 1, text_);
        commits(&*of_b, vec![insert(CLASS, &row)], true).await?;
        holds(&*of_b, CLASS, text_, Some((text_, 0))).await?;
        let scan = Scan::of(CLASS).starting_with(text_);
        let rows = of_b.scan(scan).await.map_err(text)?;
        expect("what starts with it", &rows, &vec![row])?;
    }
    let rows = of_b.scan(Scan::of(CLASS)).await.map_err(text)?;
    expect("rows", &rows.len(), &statements.len())?;
    holds(&*of_a, CLASS, "k", Some(("a's", 0))).await
}
