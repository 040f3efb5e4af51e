//! The load generator behind `tensorwire bench`: sends one request again and again over
//! channels of its own, in threads of its own, and says how long the answers took.

mod plan;
pub use plan::{Arrival, LoadPlan, Pace};

mod arrivals;

mod pacer;

mod generator;

mod closed;

mod open;

mod server_timing;

mod tally;

mod report;
pub use report::{Bucket, ErrorCount, Generator, LoadReport, Recent, Summary};

mod test;
pub use test::{LoadTest, Target};
