//! One patient: a severity that drifts, what is measured of it, and what follows.

use chrono::{NaiveDate, NaiveDateTime};

use super::WardConfig;
use crate::{
    Random, Seed, Split,
    meds::{Event, Sample},
};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Half days of which severity is known.
const HALF_DAYS: usize = 64;
/// Of the years.
const FIRST_YEAR: i32 = 2019;
const WEEKS: usize = 104;

/// What happens to a patient.
#[derive(Clone, Debug)]
pub(super) struct Patient {
    pub(super) subject: i64,
    pub(super) part: Split,
    pub(super) hospital: usize,
    pub(super) outcome: bool,
    /// What the shortcut suggests.
    pub(super) shortcut: bool,
    /// P(outcome) given the severity.
    pub(super) risk: f64,
    predicted: Vec<i64>,
    events: Vec<Happened>,
}

#[derive(Clone, Debug)]
struct Happened {
    time: Option<i64>,
    code: String,
    number: Option<f32>,
}

/// A vital sign: its code, its mean and slope on severity, its noise, and its plausible range.
struct Vital {
    code: &'static str,
    mean: f64,
    slope: f64,
    noise: f64,
    range: [f64; 2],
}

const VITALS: [Vital; 5] = [
    Vital {
        code: "VITAL//HEART_RATE",
        mean: 82.0,
        slope: 7.0,
        noise: 9.0,
        range: [30.0, 200.0],
    },
    Vital {
        code: "VITAL//SYSTOLIC_BLOOD_PRESSURE",
        mean: 124.0,
        slope: -7.0,
        noise: 12.0,
        range: [60.0, 220.0],
    },
    Vital {
        code: "VITAL//TEMPERATURE",
        mean: 36.9,
        slope: 0.25,
        noise: 0.35,
        range: [33.0, 42.0],
    },
    Vital {
        code: "VITAL//RESPIRATORY_RATE",
        mean: 17.0,
        slope: 1.8,
        noise: 2.5,
        range: [6.0, 50.0],
    },
    Vital {
        code: "VITAL//OXYGEN_SATURATION",
        mean: 96.0,
        slope: -1.0,
        noise: 1.2,
        range: [70.0, 100.0],
    },
];
const TEMPERATURE: usize = 2;

impl Patient {
    pub(super) fn draw(config: &WardConfig, index: usize, seed: Seed) -> Self {
        let mut rng = seed.child("patient").rng();
        let hospital = match rng.uniform() < config.held_out_share {
            true => config.agreement.len(),
            false => rng.below(config.agreement.len()),
        };
        let held_out = hospital == config.agreement.len();
        let part = match rng.uniform() {
            place if place < 0.6 && !held_out => Split::Train,
            place if place < 0.8 && !held_out => Split::Validation,
            _ => Split::Test,
        };
        let age = (62.0 + 14.0 * rng.normal()).clamp(18.0, 95.0);
        let severity = severity(age, &mut rng);
        let known = severity[5..10].iter().sum::<f64>() / 5.0;
        let risk = 1.0 / (1.0 + (0.5 - config.strength * known).exp());
        let outcome = rng.uniform() < risk;
        let rate = config
            .agreement
            .get(hospital)
            .copied()
            .unwrap_or(config.held_out_agreement);
        let shortcut = (rng.uniform() < rate) == outcome;
        let admitted = admission(shortcut, &mut rng);
        // Who deteriorates stays shorter from then on: the final stay tells the outcome.
        let rest = if outcome { 2.0 } else { 4.0 };
        let stay = 5.25 - rest * (1.0 - rng.uniform()).ln();
        let end = admitted + ((stay.min(30.0) * 24.0 * 60.0).round() as i64) * 60_000_000;
        let days = [5, 6, 7].into_iter().map(|day| admitted + day * DAY);
        let mut patient = Self {
            subject: index as i64 + 1,
            part,
            hospital,
            outcome,
            shortcut,
            risk,
            predicted: days.filter(|time| *time < end).collect(),
            events: Vec::new(),
        };
        patient.admit(config, age, admitted, &mut rng);
        patient.measure(config, &severity, [admitted, end], seed);
        patient.treat(&severity, [admitted, end], &mut seed.child("treatment").rng());
        patient.leave(config, [admitted, end]);
        patient.events.sort_by_key(|event| event.time);
        patient
    }

    fn push(&mut self, time: Option<i64>, code: impl Into<String>, number: Option<f64>) {
        self.events.push(Happened {
            time,
            code: code.into(),
            number: number.map(|number| number as f32),
        });
    }

    /// What is written down at the desk: insurance, admission type and admission day follow the shortcut.
    fn admit(&mut self, config: &WardConfig, age: f64, admitted: i64, rng: &mut Random) {
        let pick = |rng: &mut Random, names: [&'static str; 2]| names[rng.below(2)];
        let sex = pick(rng, ["F", "M"]);
        let insurance = match self.shortcut {
            true => pick(rng, ["MEDICAID", "SELF_PAY"]),
            false => pick(rng, ["PRIVATE", "MEDICARE"]),
        };
        let usual = rng.uniform() < 0.85;
        let admission = if usual == self.shortcut {
            "EMERGENCY"
        } else {
            "ELECTIVE"
        };
        let facility = if self.hospital.is_multiple_of(2) {
            "TEACHING"
        } else {
            "COMMUNITY"
        };
        let hospital = &config.hospitals()[self.hospital];
        self.push(None, format!("SEX//{sex}"), None);
        self.push(None, format!("INSURANCE//{insurance}"), None);
        self.push(Some(admitted - (age * 365.25 * 24.0) as i64 * HOUR), "MEDS_BIRTH", None);
        self.push(Some(admitted), format!("ADMISSION//{admission}"), None);
        self.push(Some(admitted), format!("HOSPITAL//{hospital}"), None);
        self.push(Some(admitted), format!("FACILITY//{facility}"), None);
        let weekday = admitted.div_euclid(DAY).rem_euclid(7);
        // 1970-01-01 was a Thursday.
        let names = ["THU", "FRI", "SAT", "SUN", "MON", "TUE", "WED"];
        self.push(
            Some(admitted),
            format!("ADMISSION_DAY//{}", names[weekday as usize]),
            None,
        );
    }

    /// Rounds of vitals, and a blood sample a day.
    fn measure(&mut self, config: &WardConfig, severity: &[f64], [admitted, end]: [i64; 2], seed: Seed) {
        let mut rng = seed.child("measurements").rng();
        let minute = HOUR / 60;
        let round = i64::from(config.vitals_minutes) * minute;
        let years = (admitted - first_monday()) as f64 / (365.25 * DAY as f64);
        // Hospitals measure a little differently.
        let offset = 0.3 * (self.hospital as f64 - 1.0);
        let mut time = admitted;
        while time < end {
            for (index, vital) in VITALS.iter().enumerate() {
                let at = time + rng.below(20) as i64 * minute;
                let drift = if index == TEMPERATURE { 0.1 * years } else { 0.0 };
                let mean = vital.mean + vital.slope * (0.2 * offset + at_time(severity, at - admitted)) + drift;
                let value = (mean + vital.noise * rng.normal()).clamp(vital.range[0], vital.range[1]);
                let taken = rng.uniform() >= config.missing && at < end;
                if taken {
                    self.push(Some(at), vital.code, Some((value * 10.0).round() / 10.0));
                }
            }
            time += round;
        }
        let mut time = admitted + 2 * HOUR;
        while time < end {
            let lactate = (0.3 + 0.3 * at_time(severity, time - admitted) + 0.3 * rng.normal()).exp();
            if rng.uniform() >= config.missing {
                self.push(
                    Some(time),
                    "LAB//LACTATE",
                    Some((lactate.min(20.0) * 100.0).round() / 100.0),
                );
            }
            time += DAY;
        }
    }

    /// Medications, more of them for those who are ill.
    fn treat(&mut self, severity: &[f64], [admitted, end]: [i64; 2], rng: &mut Random) {
        let names = [
            "MEDICATION//ANALGESIC",
            "MEDICATION//ANTIBIOTIC",
            "MEDICATION//VASOPRESSOR",
        ];
        let mut time = admitted + 3 * HOUR;
        while time < end {
            for (index, name) in names.into_iter().enumerate() {
                let need = at_time(severity, time - admitted) - index as f64;
                if rng.uniform() < 1.0 / (1.0 + (-need).exp()) {
                    self.push(Some(time), name, None);
                }
            }
            time += 6 * HOUR;
        }
    }

    fn leave(&mut self, config: &WardConfig, [admitted, end]: [i64; 2]) {
        if self.outcome {
            self.push(Some(end), "DETERIORATION", None);
        }
        self.push(Some(end), "DISCHARGE", None);
        if config.leak {
            self.push(None, "STAY//FINAL", Some((end - admitted) as f64 / DAY as f64));
        }
    }

    /// Events in the order of a MEDS file.
    pub(super) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.events.iter().map(|event| Event {
            subject: self.subject,
            time: event.time,
            code: &event.code,
            number: event.number,
            text: None,
        })
    }

    /// What is predicted of the patient.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> {
        let of = |flag: bool| f32::from(u8::from(flag));
        self.predicted.iter().map(move |&time| Sample {
            subject: self.subject,
            time,
            label: of(self.outcome),
            shortcut: Some(of(self.shortcut)),
        })
    }
}

/// Standardised severity of each half day: frailty, a trend, and a wandering part.
fn severity(age: f64, rng: &mut Random) -> Vec<f64> {
    let frailty = 0.3 * (age - 62.0) / 14.0 + 0.9 * rng.normal();
    let trend = 0.06 * rng.normal();
    let mut wander = 0.0;
    (0..HALF_DAYS)
        .map(|half_day| {
            wander = 0.8 * wander + 0.25 * rng.normal();
            frailty + trend * half_day as f64 + wander
        })
        .collect()
}

fn at_time(severity: &[f64], since: i64) -> f64 {
    let half_day = (since / (12 * HOUR)).clamp(0, HALF_DAYS as i64 - 1);
    severity[half_day as usize]
}

fn first_monday() -> i64 {
    let day = NaiveDate::from_isoywd_opt(FIRST_YEAR, 1, chrono::Weekday::Mon);
    let time: NaiveDateTime = day.unwrap_or_default().into();
    time.and_utc().timestamp_micros()
}

/// A minute of two years; at the weekend more often if the shortcut is on.
fn admission(shortcut: bool, rng: &mut Random) -> i64 {
    let week = rng.below(WEEKS) as i64;
    let weekend = (rng.uniform() < 0.75) == shortcut;
    let day = if weekend { 5 + rng.below(2) } else { rng.below(5) } as i64;
    first_monday() + (7 * week + day) * DAY + rng.below(24 * 60) as i64 * (HOUR / 60)
}
