use super::*;
use crate::{Dataset, Role, meds::validate};

fn small() -> WardConfig {
    WardConfig {
        patients: 300,
        vitals_minutes: 480,
        ..WardConfig::default()
    }
}

#[test]
fn the_shortcut_agrees_as_asked_in_every_hospital() {
    let config = WardConfig {
        patients: 6000,
        ..WardConfig::default()
    };
    let patients: Vec<Patient> = (0..6000).map(|index| config.patient(index, Seed::new(3))).collect();
    let rates = [0.9, 0.85, 0.8, 0.5];
    for (hospital, rate) in rates.into_iter().enumerate() {
        let own: Vec<&Patient> = patients.iter().filter(|patient| patient.hospital == hospital).collect();
        let n = own.len() as f64;
        let found = own.iter().filter(|patient| patient.shortcut == patient.outcome).count() as f64 / n;
        let error = (rate * (1.0 - rate) / n).sqrt();
        assert!(
            (found - rate).abs() < 4.0 * error,
            "hospital {hospital}: {found}, expected {rate}"
        );
        assert!(own.iter().all(|patient| hospital < 3 || patient.part == Split::Test));
    }
    // Outcomes happen as often as their risks say, which physiology alone decides.
    let mean = |of: &dyn Fn(&Patient) -> f64| patients.iter().map(of).sum::<f64>() / 6000.0;
    let (rate, risk) = (mean(&|p| f64::from(u8::from(p.outcome))), mean(&|p| p.risk));
    assert!((rate - risk).abs() < 0.025, "{rate} {risk}");
    assert!((0.3..0.6).contains(&rate), "{rate}");
}

#[test]
fn values_are_plausible_and_some_are_missing() {
    let audited = small().dataset(false, Seed::new(0)).unwrap();
    let dataset = &audited.dataset;
    assert_eq!(audited.checks.len(), 4);
    for (name, low, high) in [
        ("heart_rate", 30.0, 200.0),
        ("oxygen_saturation", 70.0, 100.0),
        ("temperature", 33.0, 42.0),
        ("lactate", 0.05, 20.0),
        ("age", 18.0, 96.0),
        ("length_of_stay", -0.5, 7.0),
    ] {
        let column = dataset.features.iter().position(|feature| feature == name).unwrap();
        let values: Vec<f32> = dataset
            .rows
            .column(column)
            .iter()
            .copied()
            .filter(|x| x.is_finite())
            .collect();
        assert!(values.iter().all(|value| (low..=high).contains(value)), "{name}");
        assert!(values.iter().any(|value| *value != values[0]), "{name}");
    }
    let missing = |name: &str| dataset.features.contains(&format!("{name} is missing"));
    assert!(missing("lactate") && missing("heart_rate") && !missing("medications"));
    let roles: Vec<(&str, Role)> = dataset
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.role))
        .collect();
    let expected = [
        ("administrative", Role::Spurious),
        ("clinical", Role::Genuine),
        ("demographic", Role::Protected),
    ];
    assert_eq!(roles, expected);
    // Three predictions at most a patient, ten positions each.
    assert_eq!(dataset.rows.nrows(), 10 * dataset.windows.len());
    assert!(dataset.windows.len() > 400 && dataset.windows.len() <= 900);
    let seen: Vec<&str> = dataset
        .part(Split::Train)
        .iter()
        .map(|&w| dataset.environments[dataset.windows[w].environment as usize].as_str())
        .collect();
    assert!(seen.contains(&"A") && !seen.contains(&"D"));
}

fn same(found: &Dataset, expected: &Dataset) {
    let bits = |dataset: &Dataset| dataset.rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!((&found.features, &found.groups), (&expected.features, &expected.groups));
    assert_eq!(found.windows, expected.windows);
    assert_eq!(
        (&found.subjects, &found.environments),
        (&expected.subjects, &expected.environments)
    );
    assert_eq!(bits(found), bits(expected));
}

#[test]
fn files_hold_what_memory_holds_however_they_are_cut() {
    let config = small();
    let expected = config.dataset(false, Seed::new(4)).unwrap().dataset;
    for (shard_rows, files) in [(usize::MAX, 1), (9_000, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("ward");
        let events = config.write(&folder, shard_rows, Seed::new(4)).unwrap();
        let contents = validate(&folder).unwrap();
        assert_eq!((contents.events, contents.subjects), (events, 300));
        assert!(contents.files >= files, "{}", contents.files);
        let task = MedsTask::read(&folder.join("task.toml")).unwrap();
        let found = task.dataset(&folder, false, Seed::new(9)).unwrap().dataset;
        same(&found, &expected);
        let error = config.write(&folder, 1000, Seed::new(0)).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }
}

#[test]
fn the_final_stay_is_a_leak() {
    let config = WardConfig { leak: true, ..small() };
    let error = config.dataset(false, Seed::new(0)).unwrap_err().to_string();
    let expected =
        "leakage audit: column `final_stay` is the number of days from the event of `length_of_stay` to the last event";
    assert!(error.starts_with(expected), "{error}");
    let accepted = config.dataset(true, Seed::new(0)).unwrap().dataset;
    assert!(accepted.features.contains(&"final_stay".to_string()));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("ward");
    config.write(&folder, usize::MAX, Seed::new(0)).unwrap();
    let task = MedsTask::read(&folder.join("task.toml")).unwrap();
    let error = task.dataset(&folder, false, Seed::new(0)).unwrap_err().to_string();
    assert!(error.contains("`final_stay`"), "{error}");
}

#[test]
fn what_cannot_be_simulated() {
    let check = |change: &dyn Fn(&mut WardConfig), expected: &str| {
        let mut config = small();
        change(&mut config);
        let error = config.dataset(false, Seed::new(0)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|c| c.patients = 3, "`patients = 3` cannot be used: expected 20");
    check(&|c| c.agreement = vec![0.9, 1.2], "`agreement = 1.2`");
    check(&|c| c.agreement = vec![], "`agreement = []`");
    check(&|c| c.missing = 1.0, "`missing = 1`");
    check(&|c| c.strength = f64::NAN, "`strength = NaN`");
    check(&|c| c.vitals_minutes = 0, "`vitals_minutes = 0`");
}
