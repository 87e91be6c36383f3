//! A pass that is resumed is the same pass, whatever the model and wherever it was stopped.

use burn::tensor::{Device, Tensor};
use disentangle_data::Seed;

use super::{each, rows, zoo};
use crate::{Classifier, Family, Input, State, Tap, model::to_vec};

#[test]
fn resuming_at_any_site_gives_the_bits_of_the_whole_pass() {
    let device = Device::flex();
    each(|model, input| {
        let plain = to_vec(model.forward(input, &mut Tap::off()));
        let trace = model.trace(input, &mut Tap::off());
        assert_eq!(to_vec(trace.logits.clone()), plain);
        let steps = model.site_steps(&device);
        let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
        let stepped: Vec<String> = steps.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(stepped, sites, "every site fires in some step, in the order declared");
        for (site, step) in steps {
            let edited = |from: usize, state: State| {
                let mut tap = Tap::new().edit(&site, |x| x * 0.5 + 0.1).unwrap();
                let logits = to_vec(model.resume(from, state, &mut tap));
                tap.finish().unwrap();
                logits
            };
            let whole = edited(0, State::new(input));
            assert_eq!(edited(step, trace.before[step].clone()), whole, "{site}");
            assert!(
                whole != plain || site.ends_with("attn.q") || site.ends_with("attn.k") || site.ends_with("attn.scores"),
                "{site}"
            );
        }
    });
}

#[test]
fn joined_states_are_the_rows_of_both() {
    each(|model, input| {
        let part = |start: usize, length: usize| {
            let input = Input::new(input.x.clone().narrow(0, start, length));
            model.trace(&input, &mut Tap::off())
        };
        let (first, second) = (part(0, 3), part(3, 4));
        let expected = [to_vec(first.logits.clone()), to_vec(second.logits.clone())].concat();
        for step in 0..model.steps() {
            let joined = State::join(&[&first.before[step], &second.before[step]]).unwrap();
            assert_eq!(joined.rows(), 7);
            let found = to_vec(model.resume(step, joined, &mut Tap::off()));
            let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near, "step {step}: {found:?} and {expected:?}");
        }
    });
    assert!(State::join(&[]).is_none());
}

/// A mask of padding lives through stops, also inside local windows.
#[test]
fn padding_stays_padding() {
    let device = Device::flex();
    for config in zoo() {
        let model = config.init(Seed::new(1), &device).unwrap();
        let x = crate::model::input(rows(3, &config).view(), &device).x;
        let [n, positions, _] = x.dims();
        let mask = Tensor::<2>::from_data([[1.0f32, 0.0], [1.0, 1.0], [0.0, 1.0]], &device).greater_elem(0.5);
        let mask = mask.repeat(&[1, positions.div_ceil(2)]).narrow(1, 0, positions);
        assert_eq!(n, 3);
        let input = Input {
            x,
            key_mask: Some(mask),
        };
        let plain = to_vec(model.forward(&input, &mut Tap::off()));
        for (step, state) in model.trace(&input, &mut Tap::off()).before.into_iter().enumerate() {
            assert_eq!(to_vec(model.resume(step, state, &mut Tap::off())), plain);
        }
    }
}

#[test]
fn parts_of_a_site_are_read_and_edited_alone() {
    each(|model, input| {
        for site in model.sites() {
            let [heads, positions, neurons] = site.axes;
            let part = format!(
                "{}[head={},position={},neuron={}..{neurons}]",
                site.name,
                heads - 1,
                positions - 1,
                neurons / 2
            );
            let mut tap = Tap::new()
                .record(&site.name)
                .unwrap()
                .edit(&part, |x| x * 0.0 + 7.0)
                .unwrap();
            let mut tap_after = Tap::new()
                .edit(&part, |x| x * 0.0 + 7.0)
                .unwrap()
                .record(&site.name)
                .unwrap();
            tap_after = tap_after.record(&part).unwrap();
            model.forward(input, &mut tap);
            model.forward(input, &mut tap_after);
            let (run, after) = (tap.finish().unwrap(), tap_after.finish().unwrap());
            let expected = run.get(&site.name).unwrap();
            let ranges = [0..7, heads - 1..heads, positions - 1..positions, neurons / 2..neurons];
            let seven = Tensor::full([7, 1, 1, neurons - neurons / 2], 7.0f32, &expected.device());
            let expected = expected.slice_assign(ranges, seven.clone());
            assert_eq!(to_vec(after.get(&site.name).unwrap()), to_vec(expected), "{part}");
            assert_eq!(to_vec(after.get(&part).unwrap()), to_vec(seven), "{part}");
        }
    });
}

#[test]
fn an_unknown_site_has_no_step() {
    let device = Device::flex();
    let model = Family::Small.config(4, 1, &[]).init(Seed::new(0), &device).unwrap();
    assert_eq!(model.step_of("input", &device).unwrap(), 0);
    assert_eq!(model.step_of("logit", &device).unwrap(), model.steps() - 1);
    let error = model.step_of("layers.7.resid", &device).unwrap_err().to_string();
    let expected = "tap `layers.7.resid`: no such site in this model; near names: layers.0.resid, layers.1.resid";
    assert_eq!(error, expected);
}
