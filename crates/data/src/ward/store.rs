//! The ward as MEDS files, with its ground truth beside them.

use std::{collections::BTreeMap, path::Path};

use polars::prelude::{Column, DataFrame};
use serde_json::json;

use super::WardConfig;
use crate::{
    DataError, Seed, Split,
    meds::{MedsWriter, Record, write_labels},
    write_frame,
};

/// Columns of `truth/patients.parquet`.
#[derive(Default)]
struct Truth {
    subjects: Vec<i64>,
    hospitals: Vec<String>,
    outcomes: Vec<bool>,
    shortcuts: Vec<bool>,
    risks: Vec<f64>,
}

impl WardConfig {
    /// Writes the ward as a MEDS dataset below a new folder: events, labels, splits, `task.toml` and `truth`. A shard ends with the patient
    /// that brings it to `shard_rows` events. Returns the number of events.
    pub fn write(&self, folder: &Path, shard_rows: usize, seed: Seed) -> Result<u64, DataError> {
        self.check()?;
        let task = self.task()?;
        let mut writer = MedsWriter::create(folder, shard_rows)?;
        let hospitals = self.hospitals();
        let (mut labels, mut shortcuts, mut truth): (Vec<Record>, Vec<Record>, Truth) = Default::default();
        let mut parts: BTreeMap<i64, Split> = BTreeMap::new();
        for index in 0..self.patients {
            let patient = self.patient(index, seed);
            for event in patient.events() {
                writer.event(&event)?;
            }
            for sample in patient.samples() {
                let (label, shortcut) = sample.records();
                labels.push(label);
                shortcuts.extend(shortcut);
            }
            parts.insert(patient.subject, patient.part);
            truth.subjects.push(patient.subject);
            truth.hospitals.push(hospitals[patient.hospital].clone());
            truth.outcomes.push(patient.outcome);
            truth.shortcuts.push(patient.shortcut);
            truth.risks.push(patient.risk);
        }
        let events = writer.finish("simulated ward", describe, &parts)?;
        write_labels(&folder.join(&task.labels), &labels)?;
        if let Some(shortcut) = &task.shortcut {
            write_labels(&folder.join(shortcut), &shortcuts)?;
        }
        truth.write(&folder.join("truth/patients.parquet"))?;
        let roles: BTreeMap<&String, _> = task.groups.iter().map(|(name, group)| (name, group.role)).collect();
        let about = json!({
            "simulated": true,
            "what": "severity causes vitals, laboratory values, medications and the outcome; the shortcut agrees with the outcome by hospital; see disentangle_data::ward",
            "parameters": self,
            "roles": roles,
            "hospitals": hospitals,
            "held_out_hospital": hospitals.last(),
            "shortcut": {
                "columns": ["insurance", "admission_type", "admission_day"],
                "values": {
                    "insurance": ["MEDICAID", "SELF_PAY"],
                    "admission_type": ["EMERGENCY"],
                    "admission_day": ["SAT", "SUN"],
                },
            },
        });
        write_text(&folder.join("truth/truth.json"), &format!("{about:#}\n"))?;
        // The text that ships has comments; a task that was changed is written anew.
        let text = match self.leak {
            false => include_str!("task.toml").to_string(),
            true => toml::to_string(&task).unwrap_or_default(),
        };
        write_text(&folder.join("task.toml"), &text)?;
        Ok(events)
    }
}

fn write_text(path: &Path, text: &str) -> Result<(), DataError> {
    std::fs::write(path, text).map_err(|error| DataError::Write {
        path: path.into(),
        reason: error.to_string(),
    })
}

impl Truth {
    fn write(self, path: &Path) -> Result<(), DataError> {
        let columns = vec![
            Column::new("subject_id".into(), self.subjects),
            Column::new("hospital".into(), self.hospitals),
            Column::new("outcome".into(), self.outcomes),
            Column::new("shortcut".into(), self.shortcuts),
            Column::new("risk".into(), self.risks),
        ];
        let mut frame = DataFrame::new_infer_height(columns).map_err(|error| DataError::Write {
            path: path.into(),
            reason: error.to_string(),
        })?;
        write_frame(path, &mut frame)
    }
}

/// What `metadata/codes.parquet` says of a code.
fn describe(code: &str) -> String {
    let (kind, rest) = code.split_once("//").unwrap_or((code, ""));
    let name = rest.to_lowercase().replace('_', " ");
    match kind {
        "VITAL" => format!("vital sign: {name}"),
        "LAB" => format!("laboratory value: {name}, mmol/l"),
        "MEDICATION" => format!("medication given: {name}"),
        "MEDS_BIRTH" => "birth".into(),
        "STAY" => "final length of stay in days, known at discharge only".into(),
        _ if name.is_empty() => kind.to_lowercase(),
        _ => format!("{}: {name}", kind.to_lowercase().replace('_', " ")),
    }
}
