//! Inputs that a model's own records bring, to measure it with.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use bytes::Bytes;
use engine::{Sample, ServedModel};
use tensor::Tensor;
use wire::predict::decode_request;
use wire::tensor_proto::decode_tensor;
use wire::warmup::{FILE, Records, predict_request};

/// Most records that are looked at: TensorFlow Serving takes no more.
const MAX_RECORDS: usize = 1000;

/// Most bytes of a record's inputs in memory.
const MAX_BYTES: usize = 64 << 20;

/// The inputs of the first record for each signature of `model`, by its index, from the
/// version's directory at `path`. A record that does not fit its signature is passed over.
///
/// # Errors
/// One sentence, with the file, if it is there and can't be read to its end.
pub fn recorded_samples(path: &Path, model: &ServedModel) -> Result<Vec<Option<Sample>>, String> {
    let mut samples: Vec<Option<Sample>> = vec![None; model.signatures().len()];
    let path = path.join(FILE);
    let cannot = |error: &dyn std::fmt::Display| {
        format!(
            "the recorded requests in {} can't be read: {error}",
            path.display()
        )
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(samples),
        Err(error) => return Err(cannot(&error)),
    };
    for record in Records::of(BufReader::new(file)).take(MAX_RECORDS) {
        if samples.iter().all(Option::is_some) {
            break;
        }
        let request = predict_request(&record.map_err(|error| cannot(&error))?);
        let Some(request) = request.map_err(|error| cannot(&error))? else {
            continue;
        };
        if let Some((index, inputs)) = inputs_of(&request, model) {
            samples[index].get_or_insert_with(|| Sample::recorded(inputs));
        }
    }
    Ok(samples)
}

/// The signature that a request is for and one tensor for each of its inputs, if all of it
/// fits.
fn inputs_of(message: &Bytes, model: &ServedModel) -> Option<(usize, Vec<Tensor>)> {
    let request = decode_request(message).ok()?;
    let name = request.spec.map_or("", |spec| spec.signature_name);
    let (index, signature) = model.signature(name).ok()?;
    let names: Vec<&str> = request.inputs.iter().map(|input| input.name).collect();
    let sources = signature.bind_inputs(&names).ok()?;
    let inputs = signature.gather(sources, |spec, position| {
        let encoded = request.inputs[position].tensor;
        let tensor = decode_tensor(message, encoded, MAX_BYTES).map_err(drop)?;
        (tensor.dtype() == spec.dtype).then_some(tensor).ok_or(())
    });
    Some((index, inputs.ok()?))
}
