//! One training of one size: done once, written down, and read back when a run is resumed.

use disentangle_data::Split;
use disentangle_models::{
    Model,
    train::{Checkpoint, Control, Erm, Loss, Task, Trained, train},
};
use disentangle_report::read_json;
use serde::{Deserialize, Serialize};

use super::{
    Repeat,
    config::ScalingSettings,
    measure::{Stage, Subject},
};
use crate::{Context, ExperimentError, context::CANCEL, training};

/// Where cells that are done wait for the others. Whoever runs experiments removes `checkpoint` once all is written.
pub(super) const FOLDER: &str = "checkpoint/cells";

/// A size, and which of its trainings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Width and depth.
    pub(super) size: (usize, usize),
    pub(super) repeat: usize,
}

/// What one training came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) parameters: usize,
    pub(super) epochs: usize,
    /// Before and after training.
    pub(super) stages: [Stage; 2],
}

impl Cell {
    fn name(self) -> String {
        let (width, depth) = self.size;
        format!("width-{width}-depth-{depth}-repeat-{}", self.repeat)
    }

    /// Trains and measures, unless that was done before an interruption.
    pub(super) fn finish(
        self,
        config: &ScalingSettings,
        repeat: &Repeat,
        context: &Context,
    ) -> Result<Done, ExperimentError> {
        let file = format!("{}.json", self.name());
        let folder = context.path(FOLDER);
        if folder.join(&file).exists() {
            return Ok(read_json(&folder, &file)?);
        }
        let done = self.train(config, repeat, context)?;
        context
            .run
            .write_json(&context.name(&format!("{FOLDER}/{file}")), &done)?;
        // It may be as large as all others together.
        context
            .run
            .remove(&context.name(&format!("{FOLDER}/{}", self.weights())))?;
        Ok(done)
    }

    /// The file of a training that is under way.
    fn weights(self) -> String {
        format!("{}.safetensors", self.name())
    }

    fn train(self, config: &ScalingSettings, repeat: &Repeat, context: &Context) -> Result<Done, ExperimentError> {
        let device = context.device;
        let start = config
            .model(self.size, &repeat.shaped)?
            .init(repeat.seed.child("model"), device)?;
        let measure = |model: &Model| {
            let subject = Subject {
                config,
                repeat,
                model,
                device,
            };
            subject.measure()
        };
        let parameters = burn::module::Module::num_params(&start);
        let before = measure(&start)?;
        let trained = self.fit(start, config, repeat, context)?;
        Ok(Done {
            parameters,
            epochs: trained.history.len(),
            stages: [before, measure(&trained.model)?],
        })
    }

    /// Takes the model, whose memory the training may need.
    fn fit(
        self,
        start: Model,
        config: &ScalingSettings,
        repeat: &Repeat,
        context: &Context,
    ) -> Result<Trained, ExperimentError> {
        let shaped = &repeat.shaped;
        let (train_rows, validation) = (shaped.part(Split::Train), shaped.part(Split::Validation));
        let task = Task {
            dataset: shaped,
            train: &train_rows,
            validation: &validation,
            loss: Loss::Bce,
        };
        let path = context.path(FOLDER).join(self.weights());
        let resume = match path.exists() {
            true => Some(Checkpoint::load(&path)?),
            false => None,
        };
        let control = Control {
            checkpoint: Some((path, context.checkpoint_every)),
            resume,
            ..Control::new(1, &CANCEL)
        };
        let seed = repeat.seed.child("train");
        training::whole(train(
            start,
            &task,
            &mut Erm,
            &config.training,
            seed,
            context.device,
            control,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use burn::tensor::Device;
    use disentangle_report::RunDir;

    use super::*;
    use crate::{
        Experiment,
        scaling::{Scaling, repeats},
    };

    /// A cell that was done is read and not done again, and has the same bits.
    #[test]
    fn cells_are_resumed_with_the_same_bits() {
        let mut config = ScalingSettings::default();
        Scaling::fast(&mut config);
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("run");
        let run = RunDir::create(base.path(), Some(out.as_path()), "scaling", 0, "h").unwrap();
        let device = Device::flex();
        let context = Context {
            seed: 0,
            device: &device,
            threads: 1,
            quiet: true,
            run: &run,
            prefix: String::new(),
            checkpoint_every: Duration::ZERO,
        };
        let repeats = repeats(&config, &context).unwrap();
        let cell = Cell {
            size: (8, 2),
            repeat: 1,
        };
        std::fs::create_dir_all(context.path(FOLDER)).unwrap();
        let done = cell.finish(&config, &repeats[1], &context).unwrap();
        let files: Vec<_> = std::fs::read_dir(context.path(FOLDER)).unwrap().collect();
        assert_eq!(files.len(), 1, "the training's own checkpoint is gone");
        let text = |done: &Done| serde_json::to_string(done).unwrap();
        let read = cell.finish(&config, &repeats[1], &context).unwrap();
        assert_eq!(text(&done), text(&read));

        // What is read is what is written there, not what would be measured.
        let other = Done { epochs: 77, ..done };
        run.write_json(&format!("{FOLDER}/{}.json", cell.name()), &other)
            .unwrap();
        assert_eq!(cell.finish(&config, &repeats[1], &context).unwrap().epochs, 77);
    }
}
