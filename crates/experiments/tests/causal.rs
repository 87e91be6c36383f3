//! `experiment causal` on every dataset and every family of models, and what it refuses. A new dataset joins by a row.

mod common;

use std::path::Path;

use common::{disentangle, succeed, text, write_table, write_ward};
use disentangle_models::Family;
use serde_json::Value;

/// Datasets, and what they hold: groups, environments, and the group that is traced. What else is set follows the name.
const DATASETS: [(&[&str], usize, usize, &str); 6] = [
    (&["dataset=biased"], 6, 3, "bias"),
    (&["dataset=multifeature"], 5, 1, "feature_1"),
    (&["dataset=market"], 2, 2, "calendar"),
    (&["dataset=visits.csv", "schema=visits.toml"], 2, 3, "ward"),
    (&["dataset=ward", "patients=250"], 3, 2, "administrative"),
    (&["dataset=records"], 3, 2, "administrative"),
];

fn run(folder: &Path, out: &str, sets: &[&str]) -> Value {
    let mut command = disentangle(folder);
    command.args([
        "experiment",
        "causal",
        "--fast",
        "--quiet",
        "--json",
        "--out",
        out,
        "--threads",
        "2",
    ]);
    let output = succeed(command.args(sets.iter().flat_map(|set| ["--set", set])));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn value(estimate: &Value) -> f64 {
    estimate["value"].as_f64().unwrap()
}

/// Parts add up to the whole, at every place.
fn effects_add_up(outcome: &Value, what: &str) {
    for traced in outcome["traced"].as_array().unwrap() {
        let total = value(&traced["total"]);
        let places = traced["mediators"]
            .as_array()
            .unwrap()
            .iter()
            .chain(traced["positions"].as_array().unwrap());
        for place in places {
            let of = |effect: &str| value(&place["mediation"][effect]);
            let sum = of("direct") + of("indirect") + of("interaction");
            assert!(
                (sum - total).abs() < 1e-6 * (1.0 + total.abs()),
                "{what} {}: {sum} and {total}",
                place["place"]
            );
            match place["passage"].as_str().unwrap() {
                "cut" => assert!(of("direct").abs() < 1e-5 * (1.0 + total.abs()), "{what}: {place}"),
                "apart" => assert!(of("indirect").abs() < 1e-5 * (1.0 + total.abs()), "{what}: {place}"),
                _ => {}
            }
        }
    }
}

#[test]
fn every_dataset() {
    for (sets, groups, environments, traced) in DATASETS {
        let folder = tempfile::tempdir().unwrap();
        write_table(folder.path());
        if sets[0].ends_with("records") {
            write_ward(folder.path(), "records", &[]);
        }
        let dataset = sets[0];
        let outcome = run(
            folder.path(),
            "run",
            &[sets, &["hidden=16", "feed_forward=32"]].concat(),
        );
        let length = |value: &Value| value.as_array().unwrap().len();
        assert_eq!(length(&outcome["data"]["environments"]), environments, "{dataset}");
        assert_eq!(length(&outcome["importance"]), environments * groups, "{dataset}");
        assert_eq!(length(&outcome["total_effects"]), groups, "{dataset}");
        assert_eq!(
            length(&outcome["interactions"]["pairs"]),
            groups * (groups - 1) / 2,
            "{dataset}"
        );
        assert_eq!(outcome["traced"][0]["group"], traced, "{dataset}");
        assert_eq!(length(&outcome["robustness"]["degradations"]), 4, "{dataset}");
        effects_add_up(&outcome, dataset);
        let gap = outcome["attribution"]["completeness_gap"].as_f64().unwrap();
        assert!(gap < 0.2, "{dataset}: {gap}");
        let coded = text(&serde_json::to_vec(&outcome["robustness"]["not_attacked"]).unwrap());
        assert_eq!(
            coded.contains("day_of_week"),
            dataset.ends_with("market"),
            "{dataset}: {coded}"
        );
        assert_eq!(coded.contains("bed"), dataset.ends_with("csv"), "{dataset}: {coded}");
        for file in [
            "model.safetensors",
            "model.json",
            "preprocess.json",
            "predictions.parquet",
        ] {
            assert!(folder.path().join("run").join(file).exists(), "{dataset}: {file}");
        }
    }
}

#[test]
fn every_family_of_models() {
    let folder = tempfile::tempdir().unwrap();
    for family in Family::ALL {
        let name = family.name();
        let model = format!("model={name}");
        let mut sets = vec![model.as_str()];
        if family != Family::Linear {
            sets.extend(["hidden=16", "feed_forward=24", "heads=2"]);
        }
        let outcome = run(folder.path(), name, &sets);
        assert_eq!(outcome["model"]["family"], name);
        let mediators = outcome["traced"][0]["mediators"].as_array().unwrap().len();
        assert_eq!(mediators == 0, family == Family::Linear, "{name}: {mediators}");
        effects_add_up(&outcome, name);
        if family == Family::Linear {
            of_a_linear_model(&outcome);
        }
    }
}

/// w·x: integrated gradients from 0 are what occlusion by 0 changes; groups add up, so that they do not interact and all of a group's
/// effect is its total; saliency is |w|, the same on every row.
fn of_a_linear_model(outcome: &Value) {
    for column in outcome["attribution"]["columns"].as_array().unwrap() {
        let by_method: Vec<f64> = column["by_method"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect();
        assert!((by_method[0] - by_method[3]).abs() < 1e-5, "{column}");
        // E|x| of a standard normal is 0.8, E|x - x'| of two is 1.13.
        assert!(
            (by_method[0] / by_method[1] - 0.8).abs() < 0.4 && by_method[1] > 0.0,
            "{column}"
        );
        assert!((by_method[2] / by_method[1] - 1.13).abs() < 0.5, "{column}");
    }
    for pair in outcome["interactions"]["pairs"].as_array().unwrap() {
        assert!(
            value(&pair["mean"]).abs() < 1e-5 && value(&pair["root_mean_square"]) < 1e-3,
            "{pair}"
        );
        assert!(value(&pair["h_squared"]) < 1e-6, "{pair}");
    }
    assert!(outcome["attribution"]["completeness_gap"].as_f64().unwrap() < 1e-5);
    // Attacks move every row of a linear model towards the other side: AUC falls with every level, PGD's as FGSM's.
    let attacks = &outcome["robustness"]["degradations"].as_array().unwrap()[2..];
    for attack in attacks {
        let auc: Vec<f64> = attack["auc"].as_array().unwrap().iter().map(value).collect();
        assert!(
            auc.windows(2).all(|pair| pair[1] < pair[0]) && value(&attack["slope"]) > 0.0,
            "{auc:?}"
        );
    }
    assert_eq!(attacks[0]["auc"], attacks[1]["auc"]);
}

#[test]
fn places_paths_and_interventions_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [
        "group=feature_2",
        "mediators=layers.0.attn.z[head=1]; layers.1.ff.hidden[neuron=3..9]",
        "paths=input->layers.1.attn.out;layers.0.attn.z[head=1]->pool",
        "interventions=group:bias=zero;layers.0.attn.out=mean;weight:output_proj.weight[:,0..8]=zero",
        "environments=reversed",
        "attack_group=bias",
        "contrast=permute",
        "orientation=none",
    ];
    let outcome = run(folder.path(), "run", &sets);
    let names = |list: &Value, key: &str| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one[key].as_str().unwrap().to_string()).collect()
    };
    let traced = &outcome["traced"][0];
    assert_eq!(
        (&traced["group"], &traced["side"]),
        (&"feature_2".into(), &"label".into())
    );
    let expected = ["layers.0.attn.z[head=1]", "layers.1.ff.hidden[neuron=3..9]"];
    assert_eq!(names(&traced["mediators"], "place"), expected);
    assert_eq!(names(&traced["paths"], "receiver"), ["layers.1.attn.out", "pool"]);
    assert_eq!(outcome["interventions"].as_array().unwrap().len(), 3);
    assert_eq!(names(&outcome["data"]["environments"], "name"), ["reversed"]);
    assert_eq!(outcome["robustness"]["group"], "bias");
    // Set to zero once as a group and once by the notebook's rule.
    let by_group = value(&outcome["interventions"][0]["accuracy_drop"]);
    let importance = outcome["importance"].as_array().unwrap().last().unwrap();
    assert!((by_group - value(&importance["accuracy_drop_zero"])).abs() < 1e-12);
}

#[test]
fn questions_that_cannot_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "group=bais",
            "unknown group `bais`; expected one of: feature_1, feature_2, ",
        ),
        ("attack_group=x", "unknown group `x`; expected one of: "),
        (
            "groups=a:bias.1;b:bias.1+bias.2",
            "groups `a` and `b` overlap: both hold column 50",
        ),
        (
            "dataset=prices",
            "`dataset = prices` cannot be used: expected `biased`, ",
        ),
        ("dataset=none.csv", "none.csv: cannot be read: "),
        (
            "environments=2019",
            "unknown environment `2019`; expected some of: in-distribution, ",
        ),
        (
            "mediators=layers.9.attn.out",
            "`mediators`: `layers.9.attn.out`: no site of this model; near names: layers.0.attn.out",
        ),
        (
            "mediators=layers.0.attn.z[head=4]",
            "selects nothing: the site has 4 head(s)",
        ),
        ("mediators=pool[x=1]", "`mediators`: `pool[x=1]`: expected `SITE`, or "),
        (
            "paths=pool->embed",
            "`paths`: `pool->embed`: the second site does not fire after the first",
        ),
        ("paths=pool", "`paths`: `pool`: expected SITE->SITE"),
        ("interventions=pool", "expected PLACE=zero or PLACE=mean"),
        ("interventions=group:x=zero", "unknown group `x`"),
        (
            "interventions=weight:x=zero",
            "no such parameter in this model; near names: ",
        ),
        (
            "interventions=weight:output_proj.weight[5..9]=zero",
            "selects nothing: the parameter has shape [1, 64]",
        ),
        ("levels=0", "`levels = [0.0]` cannot be used: expected numbers above 0"),
        ("rows=1", "`rows = 1` cannot be used: expected at least 2"),
        ("contrast=flip", "`contrast = flip` cannot be used: expected "),
        ("lookbak=3", "unknown key `lookbak`; expected one of: "),
        ("weights=none.safetensors", "none.safetensors: cannot be read"),
        (
            "schema=none.toml",
            "`schema` describes a table, but `dataset = biased` is none; expected dataset=FILE",
        ),
    ];
    let check = |sets: &[&str], expected: &str| {
        let mut command = disentangle(folder.path());
        command.args(["experiment", "causal", "--fast", "--out", "run"]);
        let output = command
            .args(sets.iter().flat_map(|set| ["--set", set]))
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{sets:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.trim_end().lines().count() == 1,
            "{error}"
        );
        assert!(error.contains(expected), "{sets:?}: expected {expected:?} in {error}");
        assert!(!folder.path().join("run").exists(), "{sets:?} left a folder");
    };
    for (set, expected) in cases {
        check(&[set], expected);
    }
    check(
        &["dataset=market", "attack_group=calendar"],
        "every column of `calendar` is integer-coded (day_of_week, month_end); expected a group with measured columns, or attack_integers = true",
    );
    write_table(folder.path());
    check(
        &["dataset=visits.csv"],
        "visits.csv: column `Close` is missing; found: patient, hospital, pulse, drug, bed, died; a table without prices needs schema=FILE, which",
    );
    check(&["dataset=visits.csv", "schema=none.toml"], "none.toml: cannot be read");
    check(&["dataset=none.csv", "schema=visits.toml"], "none.csv: cannot be read");
    check(&["dataset=visits.csv", "schema=visits.csv"], "visits.csv: line 1: ");
    check(
        &["dataset=market", "model=small"],
        "`model = small` takes 1 rows of 5 features, but a window of `simulated market` has 30 rows of 5",
    );
    let columns: Vec<String> = (1..=2)
        .flat_map(|g| (1..=2).map(move |c| format!("feature_{g}.{c}")))
        .collect();
    let all = format!("groups=all:{}+bias.1+bias.2", columns.join("+"));
    check(
        &["features=2", "feature_dim=2", &all],
        "group `all` covers all 6 columns",
    );
}

#[test]
fn a_schema_is_proposed_for_a_table() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    let proposed = succeed(disentangle(folder.path()).args(["dataset", "describe", "visits.csv"])).stdout;
    let text = text(&proposed);
    assert!(
        text.contains("label = \"died\"\nsubject = \"patient\"\n") && text.contains("missing = [\"?\"]"),
        "{text}"
    );
    std::fs::write(folder.path().join("proposed.toml"), &proposed).unwrap();
    let outcome = run(folder.path(), "run", &["dataset=visits.csv", "schema=proposed.toml"]);
    assert_eq!(outcome["data"]["groups"].as_array().unwrap().len(), 2);
}
