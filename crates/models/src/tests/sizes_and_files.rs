//! What models start from, and what is refused.

use burn::tensor::Device;
use disentangle_data::Seed;

use crate::{Model, ModelConfig, SequenceConfig, weights};

/// PyTorch's initial distributions: largest size and standard deviation of every kind of parameter.
#[test]
fn parameters_start_as_in_pytorch() {
    let config = ModelConfig::Sequence(SequenceConfig::new(5, 30));
    let model = config.init(Seed::new(0), &Device::flex()).unwrap();
    let flat = crate::parameters::flatten(&model);
    let mut rest = &flat[..];
    for named in crate::parameters::names(&model) {
        let (own, after) = rest.split_at(named.len());
        rest = after;
        let largest = own.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let mean = own.iter().sum::<f32>() / own.len() as f32;
        let deviation = (own.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / own.len() as f32).sqrt();
        // Uniform in ±bound, or constant; 0.0 stands for the normal positions.
        let bound = match named.name.as_str() {
            "pos_embedding" => 0.0,
            name if name.contains("norm") && name.ends_with("weight") => {
                assert!(own.iter().all(|&x| x == 1.0));
                continue;
            }
            name if name.contains("norm") || name.ends_with("in_proj_bias") || name.ends_with("out_proj.bias") => {
                assert!(own.iter().all(|&x| x == 0.0), "{name}");
                continue;
            }
            name if name.ends_with("in_proj_weight") => (6.0f32 / 256.0).sqrt(),
            name if name.contains("linear2") => 1.0 / 16.0,
            name if name.contains("feature_embedding") => 1.0 / 5.0f32.sqrt(),
            _ => 1.0 / 8.0,
        };
        if bound == 0.0 {
            assert!(
                (deviation - 1.0).abs() < 0.06 && largest > 2.5,
                "{} {deviation}",
                named.name
            );
        } else {
            assert!(largest <= bound, "{}: {largest}", named.name);
            let error = 4.0 / (own.len() as f32).sqrt();
            assert!(
                (deviation / (bound / 3.0f32.sqrt()) - 1.0).abs() < error,
                "{}: {deviation}",
                named.name
            );
        }
    }
}

#[test]
fn foreign_weights_are_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let model = |hidden, layers| {
        let config = SequenceConfig {
            hidden,
            layers,
            feed_forward: 32,
            ..SequenceConfig::new(5, 6)
        };
        ModelConfig::Sequence(config).init(Seed::new(0), &device).unwrap()
    };
    weights::save(&model(16, 2), &path).unwrap();
    let error = |model: Model| {
        weights::load(model, &path, &device)
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    let deeper = error(model(16, 3));
    assert!(
        deeper.starts_with("FILE: not the weights of this model: `transformer.layers.2."),
        "{deeper}"
    );
    assert!(
        deeper.contains("`transformer.layers.2.self_attn.in_proj_weight` is missing"),
        "{deeper}"
    );
    let shallower = error(model(16, 1));
    assert!(
        shallower.contains("`transformer.layers.1.linear1.bias` is unexpected"),
        "{shallower}"
    );
    let wider = error(model(32, 2));
    assert!(
        wider.contains("`feature_embedding.weight` is [16, 5], expected [32, 5]"),
        "{wider}"
    );
    for content in [
        &b""[..],
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x08\0\0\0\0\0\0\0{\"a\":1}}",
    ] {
        std::fs::write(&path, content).unwrap();
        let broken = error(model(16, 2));
        assert!(broken.starts_with("FILE: not a safetensors file: "), "{broken}");
    }
    let absent = weights::load(model(16, 2), &folder.path().join("none"), &device)
        .unwrap_err()
        .to_string();
    assert!(absent.contains("none: cannot be read: "), "{absent}");
}

#[test]
fn weights_can_be_read_by_whoever_reads_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, other) = (folder.path().join("model.safetensors"), folder.path().join("other"));
    let device = Device::flex();
    let model = super::zoo()[0].init(Seed::new(0), &device).unwrap();
    weights::save(&model, &weights).unwrap();
    std::fs::write(&other, "").unwrap();
    let permissions = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(&weights), permissions(&other));
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 2, "nothing else is left there");
}

#[test]
fn bad_sizes_are_sentences() {
    let base = SequenceConfig::new(5, 6);
    let check = |config: SequenceConfig, expected: &str| {
        let error = config.init(Seed::new(0), &Device::flex()).unwrap_err().to_string();
        assert_eq!(error, format!("model setting {expected}"));
    };
    check(
        SequenceConfig {
            heads: 5,
            ..base.clone()
        },
        "`heads = 5` cannot be used: expected a divisor of hidden = 64",
    );
    check(
        SequenceConfig {
            heads: 0,
            ..base.clone()
        },
        "`heads = 0` cannot be used: expected at least 1",
    );
    check(
        SequenceConfig {
            hidden: 1_000_000,
            ..base.clone()
        },
        "`hidden = 1000000` cannot be used: expected sizes that give fewer than 2000000000 parameters",
    );
    check(
        SequenceConfig {
            features: 0,
            ..base.clone()
        },
        "`features = 0` cannot be used: expected at least 1",
    );
    check(
        SequenceConfig {
            dropout: 1.0,
            ..base.clone()
        },
        "`dropout = 1` cannot be used: expected a rate from 0 to below 1",
    );
    let unknown =
        serde_json::from_str::<ModelConfig>(r#"{"family":"sequence","config":{"features":5,"sequence":6,"hiden":3}}"#);
    assert!(unknown.unwrap_err().to_string().contains("unknown field `hiden`"));
}
