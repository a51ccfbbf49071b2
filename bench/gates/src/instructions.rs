//! Verifiable instructions (IFEval, Zhou et al. 2023): our checks against the
//! data's own strict labels.

use crate::agreement::Agreement;
use crate::data::rows;
use crate::{Failed, Told};
use domain::suite::{Check, InstructionRule};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// Least share of instructions judged as the labels say.
const WANTED: f64 = 0.97;

#[derive(Deserialize)]
struct Row {
    id: String,
    instruction_id_list: Vec<String>,
    kwargs: Vec<Option<Map<String, Value>>>,
    response: String,
    follow_instruction_list: Vec<bool>,
}

/// Judges every instruction of every case.
pub(crate) fn told(data: &Path) -> Result<Told, Failed> {
    let mut found = Agreement::default();
    for row in rows::<Row>(&data.join("ifeval"), "cases.jsonl")? {
        let settings = row.kwargs.iter().map(|with| {
            let with = with.clone().unwrap_or_default();
            with.into_iter().filter(|(_, v)| !v.is_null()).collect::<Map<_, _>>()
        });
        let ids = row.instruction_id_list.iter();
        let checks = ids
            .zip(settings)
            .map(|(id, with)| Check::Instruction(InstructionRule { id: id.clone(), with }));
        let kept = crate::agreement::kept(checks.collect(), &row.response)
            .map_err(|why| format!("ifeval case {}: {why}", row.id))?;
        let labels = row.instruction_id_list.iter().zip(&row.follow_instruction_list);
        for ((id, label), kept) in labels.zip(kept) {
            found.add(id, kept == *label);
        }
    }
    Ok(found.told("ifeval: instructions as the labels say", WANTED))
}
