//! A simulated ward: health records with known causes and a known shortcut, for runs without data.
//!
//! A patient's severity starts from a frailty that grows with age, and drifts. It moves vitals, laboratory values and medications, and the
//! outcome (deterioration before discharge): `P(outcome) = sigmoid(strength * severity - threshold)`, severity averaged over days 3 to 5.
//! A *shortcut*, one bit a patient, agrees with the outcome at a rate of its own in each hospital; insurance, admission type and admission day
//! follow the bit, the outcome does not. In the hospitals of training the rate is high; in the held-out one the bit says nothing.
//! Values are not measured at random; hospitals measure a little differently, and thermometers drift over the years.

mod patient;
mod store;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    DataError, Seed, Split,
    meds::{Aggregate, Audited, Codes, MedsColumn, MedsTask, Over, Windower},
};
use patient::Patient;

/// What the ward is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WardConfig {
    /// Patients, one stay each.
    pub patients: usize,
    /// The rate at which the shortcut agrees with the outcome, one for each hospital of training.
    pub agreement: Vec<f64>,
    /// The same in the held-out hospital; 0.5 says nothing, below is reversed.
    pub held_out_agreement: f64,
    /// The share of patients in the held-out hospital.
    pub held_out_share: f64,
    /// How strongly severity decides the outcome.
    pub strength: f64,
    /// The share of measurements that are not taken.
    pub missing: f64,
    /// Minutes between two rounds of vitals.
    pub vitals_minutes: u32,
    /// Adds the final length of stay as a column, which is known at discharge only: a leak that the audit must find.
    pub leak: bool,
}

impl Default for WardConfig {
    fn default() -> Self {
        Self {
            patients: 1500,
            agreement: vec![0.9, 0.85, 0.8],
            held_out_agreement: 0.5,
            held_out_share: 0.2,
            strength: 1.6,
            missing: 0.2,
            vitals_minutes: 240,
            leak: false,
        }
    }
}

/// Most patients that are simulated.
const MOST: usize = 10_000_000;

impl WardConfig {
    /// Refuses rates outside [0, 1], fewer than 20 patients, and rounds more often than every 10 minutes.
    pub fn check(&self) -> Result<(), DataError> {
        if !(20..=MOST).contains(&self.patients) {
            return Err(DataError::setting("patients", self.patients, format!("20 to {MOST}")));
        }
        if self.agreement.is_empty() || self.agreement.len() > 20 {
            return Err(DataError::setting(
                "agreement",
                format!("{:?}", self.agreement),
                "a rate for each of 1 to 20 hospitals",
            ));
        }
        let rates = self.agreement.iter().map(|rate| ("agreement", *rate)).chain([
            ("held_out_agreement", self.held_out_agreement),
            ("held_out_share", self.held_out_share),
            ("missing", self.missing),
        ]);
        for (key, rate) in rates {
            let most = if key == "missing" || key == "held_out_share" {
                0.9
            } else {
                1.0
            };
            if !(0.0..=most).contains(&rate) {
                return Err(DataError::setting(key, rate, format!("a rate from 0 to {most}")));
            }
        }
        if !(0.0..=100.0).contains(&self.strength) {
            return Err(DataError::setting("strength", self.strength, "a number from 0 to 100"));
        }
        if !(10..=1440).contains(&self.vitals_minutes) {
            return Err(DataError::setting("vitals_minutes", self.vitals_minutes, "10 to 1440"));
        }
        Ok(())
    }

    /// What is predicted, from which codes.
    pub fn task(&self) -> Result<MedsTask, DataError> {
        let mut task = MedsTask::parse(Path::new("ward/task.toml"), include_str!("task.toml"))?;
        if let (true, Some(group)) = (self.leak, task.groups.get_mut("administrative")) {
            let column = MedsColumn {
                code: Codes::One("STAY//FINAL".into()),
                value: Aggregate::Last,
                over: Some(Over::Ever),
            };
            group.columns.insert("final_stay".into(), column);
        }
        Ok(task)
    }

    /// The hospitals; the last one is held out.
    pub fn hospitals(&self) -> Vec<String> {
        (0..=self.agreement.len())
            .map(|hospital| char::from(b'A' + hospital as u8).to_string())
            .collect()
    }

    fn patient(&self, index: usize, seed: Seed) -> Patient {
        Patient::draw(self, index, seed.child("ward").index(index as u64))
    }

    /// The ward's windows, without files: what [`MedsTask::dataset`] reads from those that [`WardConfig::write`] writes.
    pub fn dataset(&self, allow_leaks: bool, seed: Seed) -> Result<Audited, DataError> {
        self.check()?;
        let task = self.task()?;
        let patients: Vec<Patient> = (0..self.patients).map(|index| self.patient(index, seed)).collect();
        let samples = patients.iter().flat_map(Patient::samples).collect();
        let mut windower = Windower::new(&task, samples);
        for patient in &patients {
            for event in patient.events() {
                windower.event(&event)?;
            }
        }
        let parts: BTreeMap<i64, Split> = patients.iter().map(|patient| (patient.subject, patient.part)).collect();
        let mut audited = task.assemble("ward", windower.finish()?, &parts, allow_leaks)?;
        audited.dataset.simulated = true;
        Ok(audited)
    }
}
