//! Runs a loaded model's signatures; called by the engine from its I/O threads and its
//! runners, many at a time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use engine::{Executor, Run, RunMode, ServeError, Signature};
use smallvec::SmallVec;
use tensor::Tensor;

use crate::api::Output;
use crate::config::{RunOptions, RunThreads};
use crate::effects::Effects;
use crate::operations::Effect;
use crate::outline::Outline;
use crate::saved_model::SavedModel;
use crate::session::Session;
use crate::signature::{INIT_SIGNATURE, Resolved};
use crate::tensor::TfTensor;

/// TensorFlow keeps an executor for each set of outputs it was ever asked for, for as
/// long as the session lives, and clients choose the sets. After this many for a
/// signature, new ones are answered from a run of all outputs.
const MAX_OUTPUT_SETS: usize = 32;

/// Positions among a signature's outputs, ascending, each once.
type OutputSet = SmallVec<[usize; 8]>;

/// Where a signature's tensors are in the graph.
struct Plan {
    feeds: Box<[Output]>,
    fetches: Box<[Output]>,
    /// Whether a run changes what later ones answer.
    has_effects: bool,
    /// The proper subsets of the outputs that were run so far.
    output_sets: Mutex<HashSet<OutputSet>>,
}

// SAFETY: the operations that its outputs point to are never written through these
// pointers, belong to no thread, and live as long as the session that stands beside
// the plan in `ModelExecutor`.
unsafe impl Send for Plan {}

// SAFETY: as above; what can change is behind a lock.
unsafe impl Sync for Plan {}

impl Plan {
    fn new(feeds: Vec<Output>, fetches: Vec<Output>, has_effects: bool) -> Self {
        Self {
            feeds: feeds.into(),
            fetches: fetches.into(),
            has_effects,
            output_sets: Mutex::default(),
        }
    }

    /// The outputs to fetch for a run that wants `outputs`: those, or all.
    fn output_set(&self, outputs: &[usize]) -> OutputSet {
        let all = || (0..self.fetches.len()).collect();
        if outputs.iter().copied().eq(0..self.fetches.len()) {
            return all();
        }
        // In one order whatever the client's: a permutation is not a new set.
        let mut set: OutputSet = outputs.into();
        set.sort_unstable();
        set.dedup();
        if set.len() == self.fetches.len() {
            return set;
        }
        let mut known = self
            .output_sets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_OUTPUT_SETS {
            known.insert(set.clone());
        } else if !known.contains(&set) {
            return all();
        }
        set
    }
}

/// A loaded model. Dropping it frees the model.
pub(crate) struct ModelExecutor {
    session: Session,
    plans: Vec<Plan>,
    outline: Outline,
    /// For runs without a deadline, in the caller's thread and in the pool.
    untimed: [RunOptions; 2],
}

impl ModelExecutor {
    /// An executor of a loaded SavedModel, and the signatures that it knows by their
    /// index.
    pub(crate) fn new(session: Session, model: &SavedModel) -> (Self, Vec<Signature>) {
        let mut plans = Vec::with_capacity(model.signatures.len());
        let mut signatures = Vec::with_capacity(model.signatures.len());
        for (name, definition) in &model.signatures {
            if name != INIT_SIGNATURE {
                let resolved = Resolved::new(name, definition, session.graph());
                let effects = model.effects.get(name);
                let is_lasting = |effects: &Effects| effects.effect == Effect::Lasting;
                let has_effects = effects.is_some_and(is_lasting);
                plans.push(Plan::new(resolved.feeds, resolved.fetches, has_effects));
                let mut signature = resolved.signature;
                signature.alone = effects.and_then(Effects::reason).or(signature.alone);
                signatures.push(signature);
            }
        }
        let executor = Self {
            session,
            plans,
            outline: model.outline,
            untimed: [RunThreads::Caller, RunThreads::Pool]
                .map(|threads| RunOptions::new(threads, None)),
        };
        (executor, signatures)
    }

    /// In the caller's thread TensorFlow looks at the time only once that thread is
    /// done, so that a loop would run to its end, or for ever.
    fn timed_options(&self, mode: RunMode, deadline: Instant) -> RunOptions {
        let threads = if self.outline.has_loops || mode == RunMode::Pool {
            RunThreads::Pool
        } else {
            RunThreads::Caller
        };
        let timeout = deadline.saturating_duration_since(Instant::now());
        RunOptions::new(threads, Some(timeout))
    }

    /// The plan of a run, if the run fits it.
    fn plan(&self, run: &Run<'_>) -> Option<&Plan> {
        let plan = self.plans.get(run.signature)?;
        let has_output = |output: &usize| *output < plan.fetches.len();
        let fits = run.feeds.len() == plan.feeds.len() && run.outputs.iter().all(has_output);
        fits.then_some(plan)
    }
}

impl Executor for ModelExecutor {
    fn is_unpredictable(&self) -> bool {
        self.outline.has_loops
    }

    fn has_effects(&self, signature: usize) -> bool {
        let plan = self.plans.get(signature);
        plan.is_some_and(|plan| plan.has_effects)
    }

    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        let plan = self
            .plan(&run)
            .ok_or_else(|| ServeError::internal("a run that does not fit the model's signature"))?;
        let inputs: SmallVec<[TfTensor; 4]> = run
            .feeds
            .into_iter()
            .map(|feed| TfTensor::from_feed(self.session.api(), feed))
            .collect::<Result<_, _>>()?;
        let set = plan.output_set(run.outputs);
        let some: SmallVec<[Output; 8]>;
        let fetches = if set.len() == plan.fetches.len() {
            &*plan.fetches
        } else {
            some = set.iter().map(|at| plan.fetches[*at]).collect();
            &*some
        };
        let timed = run
            .deadline
            .map(|deadline| self.timed_options(run.mode, deadline));
        let untimed = match run.mode {
            RunMode::Caller => &self.untimed[0],
            RunMode::Pool => &self.untimed[1],
        };
        let options = timed.as_ref().unwrap_or(untimed);
        // SAFETY: the plan was made in `new`, from the graph of this session.
        let outputs = unsafe { self.session.run((&plan.feeds, &inputs), fetches, options) }?;
        let mut tensors = Vec::with_capacity(outputs.len());
        for output in outputs {
            tensors.push(output.into_tensor(self.outline.outputs_may_change)?);
        }
        if *set == *run.outputs {
            return Ok(tensors);
        }
        let wanted = run.outputs.iter();
        Ok(wanted
            .filter_map(|output| set.binary_search(output).ok())
            .map(|position| tensors[position].clone())
            .collect())
    }
}
