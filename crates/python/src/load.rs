//! `LoadTest`: a load on servers, sent by threads of its own that need no interpreter.

use client::{Arrival, LoadPlan, Pace, Target};
use engine::ServeError;
use pyo3::prelude::*;
use serde::Deserialize;

use crate::client::{Entries, Request, call_options, channel_options, duration, native_error};
use crate::error::{invalid_argument, native_error as internal, serve_error};
use crate::exit_gate;
use crate::of_this_process::OfThisProcess;

/// A load as the JSON has it; times are in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    concurrency: Option<usize>,
    rate: Option<f64>,
    arrival: PlanArrival,
    max_outstanding: usize,
    warmup: f64,
    duration: Option<f64>,
    requests: Option<u64>,
    connections: usize,
    threads: usize,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlanArrival {
    Constant,
    Poisson,
}

impl Plan {
    fn native(&self) -> PyResult<LoadPlan> {
        let pace = match (self.concurrency, self.rate) {
            (Some(concurrency), None) => Pace::Closed { concurrency },
            (None, Some(rate)) => Pace::Open {
                rate,
                arrival: match self.arrival {
                    PlanArrival::Constant => Arrival::Constant,
                    PlanArrival::Poisson => Arrival::Poisson,
                },
                max_outstanding: self.max_outstanding,
            },
            _ => {
                return Err(invalid_argument(
                    "a load has either a concurrency or a rate",
                ));
            }
        };
        Ok(LoadPlan {
            pace,
            warmup: duration("warmup", self.warmup)?,
            duration: self
                .duration
                .map(|seconds| duration("duration", seconds))
                .transpose()?,
            requests: self.requests,
            connections: self.connections,
            threads: self.threads,
        })
    }
}

/// A load under way, or one that has ended.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct LoadTest(OfThisProcess<client::LoadTest>);

#[pymethods]
impl LoadTest {
    /// Starts it.
    #[new]
    fn new(
        addresses: Vec<String>,
        options: &str,
        request: &Request,
        plan: &str,
        metadata: Entries,
    ) -> PyResult<Self> {
        let plan: Plan = serde_json::from_str(plan)
            .map_err(|error| invalid_argument(&format!("the load's plan: {error}")))?;
        let target = Target {
            addresses,
            channel: channel_options(options)?,
            request: request.request.clone(),
            call: call_options(plan.timeout, metadata, false)?,
        };
        client::LoadTest::start(&target, plan.native()?)
            .map(|test| Self(OfThisProcess::new(test)))
            .map_err(|error| native_error(&error))
    }

    /// Waits for its end, for a while; whether it has come.
    fn wait(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        exit_gate::stop_if_closed(py);
        let most = duration("seconds", seconds)?;
        let test = self.get()?;
        Ok(exit_gate::detach(py, || test.wait(most)))
    }

    /// Its figures so far, as JSON.
    fn report(&self, py: Python<'_>) -> PyResult<String> {
        exit_gate::stop_if_closed(py);
        let test = self.get()?;
        exit_gate::detach(py, || serde_json::to_string(&test.report()))
            .map_err(|error| internal("INTERNAL", &format!("the load's report: {error}"), ""))
    }

    /// Sends no more.
    fn stop(&self) -> PyResult<()> {
        self.get()?.stop();
        Ok(())
    }

    /// Gives up what is under way too.
    fn cancel(&self) -> PyResult<()> {
        self.get()?.cancel();
        Ok(())
    }
}

impl LoadTest {
    fn get(&self) -> PyResult<&client::LoadTest> {
        self.0.get().map_err(|error: ServeError| serve_error(error))
    }
}
