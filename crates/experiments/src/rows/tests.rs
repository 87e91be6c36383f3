//! Every dataset's keys, environments and groups.

use super::*;
use crate::settings::resolve;

fn with(sets: &[&str]) -> Result<RowSettings, ExperimentError> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    resolve(&RowSettings::default(), None, &sets)
}

#[test]
fn every_dataset_s_keys_stand_side_by_side() {
    let settings = with(&[
        "dataset=market",
        "samples=50",
        "lookback=12",
        "rsi=wilder",
        "rule=mixed",
    ])
    .unwrap();
    assert_eq!((settings.synthetic.samples, settings.prices.lookback), (50, 12));
    assert_eq!(settings.dataset, "market");
    let error = |set: &str| with(&[set]).unwrap_err().to_string();
    assert!(
        error("epochs=3").starts_with("unknown key `epochs`"),
        "a key of the finance experiment only"
    );
    assert_eq!(
        error("samples=x"),
        "`samples = x` cannot be used: expected a whole number, zero or more"
    );
    assert!(
        error("rsi=x").starts_with("`rsi = x` cannot be used: expected "),
        "{}",
        error("rsi=x")
    );
    let text = toml::to_string(&settings).unwrap();
    assert!(text.contains("lookback = 12") && !text.contains("epochs"), "{text}");
}

#[test]
fn environments_hold_rows_that_training_did_not_see() {
    let load = |sets: &[&str], chosen: &[&str]| {
        let chosen: Vec<String> = chosen.iter().map(ToString::to_string).collect();
        with(sets).unwrap().load(&chosen, 100, Seed::new(1))
    };
    for (dataset, names) in [
        ("biased", vec!["in-distribution", "independent", "reversed"]),
        ("multifeature", vec!["in-distribution"]),
        ("market", vec!["validation", "test"]),
    ] {
        let loaded = load(&[&format!("dataset={dataset}")], &[]).unwrap();
        let found: Vec<&str> = loaded.environments.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(found, names);
        for environment in &loaded.environments {
            assert_eq!(environment.rows.len(), 100);
            assert!(environment.rows.windows(2).all(|pair| pair[0] < pair[1]));
            let split = |row: &usize| loaded.dataset.windows[*row].split;
            assert!(environment.rows.iter().all(|row| split(row) != Split::Train));
        }
        assert_eq!(loaded.block > 1, dataset == "market");
    }
    assert_eq!(load(&[], &["reversed"]).unwrap().environments.len(), 1);
    let error = |sets: &[&str], chosen: &[&str]| load(sets, chosen).unwrap_err().to_string();
    assert_eq!(
        error(&[], &["nowhere"]),
        "`environments`: unknown environment `nowhere`; expected some of: in-distribution, independent, reversed"
    );
    assert_eq!(
        error(&["dataset=prices"], &[]),
        "`dataset = prices` cannot be used: expected `biased`, `multifeature`, `ward`, `market`, `yahoo`, a price file, a table with schema=FILE, or a folder with a MEDS dataset"
    );
}

#[test]
fn groups_of_one_s_own() {
    let load = |groups: &str| {
        let set = format!("groups={groups}");
        with(&["features=2", "feature_dim=2", &set])
            .unwrap()
            .load(&[], 100, Seed::new(1))
    };
    let loaded = load("bias:bias.1;rest:feature_1.1 + feature_2.2").unwrap();
    let found: Vec<_> = loaded
        .dataset
        .groups
        .iter()
        .map(|g| (g.name.as_str(), g.role, g.columns.clone()))
        .collect();
    assert_eq!(
        found,
        [("bias", Role::Spurious, vec![4]), ("rest", Role::Unknown, vec![0, 3])]
    );
    let check = |groups: &str, expected: &str| {
        let error = load(groups).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        "a:feature_1.1;b:feature_1.1",
        "groups `a` and `b` overlap: both hold column 0",
    );
    check("a:", "group `a` has no columns");
    check(
        "a:nothing",
        "there is no column `nothing`; expected some of: feature_1.1, ",
    );
    check("a", "expected NAME:COLUMN+COLUMN, got `a`");
    check(";", "expected at least one group");
    let all = "a:feature_1.1+feature_1.2+feature_2.1+feature_2.2+bias.1+bias.2";
    check(all, "group `a` covers all 6 columns");
}

#[test]
fn codes_are_told_from_measurements() {
    let loaded = with(&["dataset=market"]).unwrap().load(&[], 100, Seed::new(1)).unwrap();
    let coded = integer_coded(&loaded.dataset);
    for (name, coded) in loaded.dataset.features.iter().zip(coded) {
        assert_eq!(coded, name.starts_with("day") || name.starts_with("month"), "{name}");
    }
}

#[test]
fn a_ward_has_a_row_a_subject_inside_and_outside() {
    let settings = with(&["dataset=ward", "patients=250", "vitals_minutes=720"]).unwrap();
    let all = settings.load_all(&[], Seed::new(1)).unwrap();
    let one = settings.load(&[], 1000, Seed::new(1)).unwrap();
    let names: Vec<&str> = one.environments.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["in-distribution", "hospital=D"]);
    assert_eq!(
        one.environments.iter().map(|one| one.unseen).collect::<Vec<_>>(),
        [false, true]
    );
    let dataset = &all.dataset;
    for (one, all) in one.environments.iter().zip(&all.environments) {
        let subject = |row: &usize| dataset.windows[*row].subject;
        let mut subjects: Vec<u32> = one.rows.iter().map(subject).collect();
        let rows = subjects.len();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), rows, "{}", one.name);
        let mut whole: Vec<u32> = all.rows.iter().map(subject).collect();
        whole.sort_unstable();
        whole.dedup();
        assert_eq!(whole, subjects, "{}", one.name);
        assert!(all.rows.len() > rows);
    }
}
