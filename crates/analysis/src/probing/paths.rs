//! Path patching: what travels from one place straight to another (Goldowsky-Dill et al. 2023; Wang et al. 2022).

use burn::tensor::Device;
use disentangle_models::{Classifier, Model, ModelError, Selection, Tap, parallel, rows_at_once};
use ndarray::{Array3, s};

use super::{ProbingError, effects::check_shapes, to_input};

/// The change of each row's logit when only the path from `sender` to `receiver` carries the counterfactual, the mean over draws.
///
/// The sender takes its value from the counterfactual pass while every attention and feed-forward output between the two stays as on `x`,
/// so that only the residual stream carries the change; the receiver's value is noted and put into a clean pass, in which everything
/// after it is recomputed. `sender` may be `input`: the group itself.
///
/// Fails for unknown sites, and where the receiver does not fire after the sender.
pub fn path_effect(
    model: &Model,
    x: &Array3<f32>,
    counterfactuals: &[Array3<f32>],
    sender: &Selection,
    receiver: &Selection,
    device: &Device,
    threads: usize,
) -> Result<Vec<f64>, ProbingError> {
    check_shapes(model, x, counterfactuals)?;
    let path = Path::new(model, sender, receiver, device)?;
    let rows = x.dim().0;
    let at_once = rows_at_once(device);
    let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
    let parts = parallel::map(threads, &starts, |&start| {
        let range = start..(start + at_once).min(rows);
        let part = |x: &Array3<f32>| x.slice(s![range.clone(), .., ..]).to_owned();
        let mut sums = vec![0.0; range.len()];
        for counterfactual in counterfactuals {
            let changes = path.changes(model, &part(x), &part(counterfactual), device)?;
            for (sum, change) in sums.iter_mut().zip(changes) {
                *sum += change / counterfactuals.len() as f64;
            }
        }
        Ok::<_, ModelError>(sums)
    });
    let parts: Result<Vec<Vec<f64>>, ModelError> = parts.into_iter().collect();
    Ok(parts?.concat())
}

struct Path {
    sender: String,
    sent_in: usize,
    receiver: String,
    received_in: usize,
    /// Block outputs that stay as they are.
    frozen: Vec<String>,
}

impl Path {
    fn new(model: &Model, sender: &Selection, receiver: &Selection, device: &Device) -> Result<Self, ModelError> {
        let (sent_in, received_in) = (
            model.step_of(&sender.site, device)?,
            model.step_of(&receiver.site, device)?,
        );
        let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
        let place = |name: &str| sites.iter().position(|site| site == name).unwrap_or_default();
        let (from, to) = (place(&sender.site), place(&receiver.site));
        if to <= from {
            return Err(ModelError::Tap {
                site: receiver.to_string(),
                reason: format!("does not fire after `{sender}`; expected a later site of the same model"),
            });
        }
        let own = own_output(&sender.site);
        let outputs = sites[from + 1..to]
            .iter()
            .filter(|site| site.ends_with("attn.out") || site.ends_with("ff.out"));
        Ok(Self {
            sender: sender.to_string(),
            sent_in,
            receiver: receiver.to_string(),
            received_in,
            frozen: outputs.filter(|site| Some(*site) != own.as_ref()).cloned().collect(),
        })
    }

    fn changes(
        &self,
        model: &Model,
        x: &Array3<f32>,
        counterfactual: &Array3<f32>,
        device: &Device,
    ) -> Result<Vec<f64>, ModelError> {
        let mut tap = Tap::new();
        for site in &self.frozen {
            tap = tap.record(site)?;
        }
        let clean = model.trace(&to_input(x.view(), device), &mut tap);
        let kept = tap.finish()?;
        let mut tap = Tap::new().record(&self.sender)?;
        model.trace(&to_input(counterfactual.view(), device), &mut tap);
        let sent = tap.finish()?.get(&self.sender)?;

        let mut tap = Tap::new().patch(&self.sender, sent)?;
        for site in &self.frozen {
            tap = tap.patch(site, kept.get(site)?)?;
        }
        let mut tap = tap.record(&self.receiver)?;
        model.resume(self.sent_in, clean.before[self.sent_in].clone(), &mut tap);
        let received = tap.finish()?.get(&self.receiver)?;

        let mut tap = Tap::new().patch(&self.receiver, received)?;
        let logits = model.resume(self.received_in, clean.before[self.received_in].clone(), &mut tap);
        tap.finish()?;
        let plain = clean.logits.into_data();
        let changed = logits.into_data();
        Ok(changed
            .iter::<f64>()
            .zip(plain.iter::<f64>())
            .map(|(z, plain)| z - plain)
            .collect())
    }
}

/// The block output to which a site inside a block leads.
fn own_output(site: &str) -> Option<String> {
    let (block, part) = site.rsplit_once('.')?;
    let inside = block.ends_with("attn") || (block.ends_with("ff") && part == "hidden");
    inside.then(|| format!("{block}.out"))
}
