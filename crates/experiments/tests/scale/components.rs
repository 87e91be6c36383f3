//! What must hold of the parts of a model, and what is known of a model with one token.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{close, is_share, list, number, run};

/// One token has one key: attention is the constant 1, queries and keys do not matter, and the pool is the last stream.
#[test]
fn one_token_has_planted_truths() {
    let folder = tempfile::tempdir().unwrap();
    let (_, found) = run(folder.path(), "components", &["layout=flat"]);
    let notices = list(&found["data"]["notices"]);
    let says = |notice: &Value| notice.as_str().is_some_and(|text| text.contains("has one key here"));
    assert!(notices.iter().any(says), "{notices:?}");
    for stage in ["initial", "trained"].map(|stage| &found[stage]) {
        let site = |name: &str| {
            list(&stage["activations"])
                .iter()
                .find(|part| part["site"] == name)
                .unwrap()
        };
        for layer in 0..2 {
            let pattern = site(&format!("layers.{layer}.attn.pattern"));
            assert_eq!((&pattern["neurons"], &pattern["dead"]), (&4.into(), &4.into()));
            close("pattern", number(&pattern["mean"]["value"]), 1.0);
            let part = &stage["attention"][layer];
            assert!(part["entropy"]["value"].is_null() && part["diversity"]["value"].is_null());
            assert!(part["entropy"]["note"].is_string());
            close("largest", number(&part["heads"][0]["largest"]["value"]), 1.0);
        }
        let pair = list(&stage["interactions"])
            .iter()
            .find(|pair| pair["from"] == "layers.1.resid" && pair["to"] == "pool");
        close("a copy", number(&pair.unwrap()["cka"]["value"]), 1.0);
    }
    let ends = |part: &Value, end: &str| part["name"].as_str().unwrap().ends_with(end);
    let moved = |end: &str| -> Vec<f64> {
        let own = list(&found["trained"]["weights"]).iter().filter(|part| ends(part, end));
        own.map(|part| number(&part["moved"])).collect()
    };
    let unmoved = [moved("(queries)"), moved("(keys)")].concat();
    assert!(
        unmoved.len() == 4 && unmoved.iter().all(|moved| *moved < 1e-6),
        "{unmoved:?}"
    );
    let values = moved("(values)");
    assert!(
        values.len() == 2 && values.iter().all(|moved| *moved > 0.0),
        "{values:?}"
    );
}

#[test]
fn parts_of_a_model_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    let (_, found) = run(folder.path(), "components", &[]);
    for name in ["initial", "trained"] {
        let stage = &found[name];
        for part in list(&stage["attention"]) {
            for share in ["entropy", "diversity"] {
                is_share(name, &part[share]);
            }
            assert!((-1.0..=0.0).contains(&number(&part["disagreement"]["value"])), "{part}");
            let heads = list(&part["heads"]);
            for head in heads {
                for share in ["entropy", "largest", "specialisation"] {
                    is_share(name, &head[share]);
                }
            }
            let over_heads = |of: &str| {
                let values = heads.iter().map(|head| number(&head[of]["value"]));
                values.sum::<f64>() / heads.len() as f64
            };
            close("entropy", number(&part["entropy"]["value"]), over_heads("entropy"));
            close(
                "diversity",
                number(&part["diversity"]["value"]),
                over_heads("specialisation"),
            );
        }
        for part in list(&stage["activations"]) {
            is_share(name, &part["sparsity"]);
            assert!(number(&part["dead"]) <= number(&part["neurons"]), "{part}");
        }
        let mut pairs = BTreeSet::new();
        for pair in list(&stage["interactions"]) {
            is_share(name, &pair["cka"]);
            let ends = ["from", "to"].map(|end| pair[end].as_str().unwrap().to_string());
            assert!(ends[0] != ends[1] && pairs.insert(ends), "{pair}");
        }
        let compared = list(&stage["compared"]).len();
        assert_eq!(pairs.len(), compared * (compared - 1) / 2);
        for part in list(&stage["weights"]) {
            assert!((0.0..=1.0).contains(&number(&part["sparsity"])), "{part}");
            let shape = list(&part["shape"]);
            let norm = number(&part["norm"]);
            match (part["spectral_norm"].as_f64(), part["stable_rank"].as_f64()) {
                (Some(largest), Some(rank)) => {
                    close("stable rank", rank, (norm / largest).powi(2));
                    let directions = shape.iter().map(number).fold(f64::INFINITY, f64::min);
                    assert!((1.0 - 1e-9..=directions + 1e-9).contains(&rank), "{part}");
                }
                _ => assert!(shape.len() != 2 || norm == 0.0, "{part}"),
            }
        }
    }
    // Nothing has moved yet, and gains that are all 1 are their mean.
    for part in list(&found["initial"]["weights"]) {
        assert!(part["moved"].is_null() || part["moved"] == 0.0, "{part}");
    }
    let gains: Vec<&Value> = list(&found["initial"]["importance"])
        .iter()
        .filter(|one| one["kind"] == "normalisation")
        .collect();
    assert!(!gains.is_empty());
    for one in gains {
        assert!(number(&one["size"]["value"]).abs() < 1e-9, "{one}");
    }
}
