//! Every family is ranked once, and differences are paired.

use crate::{close, intervals_hold_their_values, is_share, list, number, run};

#[test]
fn every_family_is_ranked_once() {
    let folder = tempfile::tempdir().unwrap();
    let (printed, found) = run(folder.path(), "variants", &[]);
    let families = list(&found["families"]);
    let names: Vec<&str> = families.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "small",
            "sequence",
            "large",
            "parallel",
            "hierarchical",
            "gated",
            "disentangled"
        ]
    );
    let ranking = &found["ranking"];
    let order: Vec<usize> = list(&ranking["order"])
        .iter()
        .map(|place| place.as_u64().unwrap() as usize)
        .collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
    let metric = ranking["place"][1].as_u64().unwrap() as usize;
    let by = |place: usize| number(&families[place]["environments"][0][metric]["value"]["value"]);
    assert!(order.windows(2).all(|two| by(two[0]) >= by(two[1])), "{ranking}");
    close("lead", number(&ranking["lead"]["value"]), by(order[0]) - by(order[1]));
    // The table on the terminal is in that order.
    let lines = printed.lines().skip(1).zip(&order).enumerate();
    for (rank, (line, place)) in lines {
        let cells: Vec<&str> = line.split_whitespace().take(2).collect();
        assert_eq!(cells, [(rank + 1).to_string().as_str(), names[*place]]);
    }
    assert!(intervals_hold_their_values(&found) > 200);
    for one in families {
        let what = one["name"].as_str().unwrap();
        let shares = list(&one["attribution"])
            .iter()
            .map(|share| number(&share["value"]["value"]));
        close(what, shares.sum(), 1.0);
        // Attention entropy, head diversity, weight sparsity and correlation of components come last.
        let values = list(&one["values"]);
        assert_eq!(values.len(), 13);
        for value in &values[9..] {
            is_share(what, &value["value"]);
            assert!(value["value"]["value"].is_number(), "{what}: {value}");
        }
    }
    // The first family is compared with nobody, the others with it in the same trainings.
    assert!(families[0]["values"][0]["over_first"]["value"].is_null());
    let epochs = |place: usize| &families[place]["values"][0];
    let difference = number(&epochs(3)["value"]["value"]) - number(&epochs(0)["value"]["value"]);
    close("epochs", number(&epochs(3)["over_first"]["value"]), difference);
}
