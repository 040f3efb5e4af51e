//! Compiles `proto/` to Rust messages and to the descriptor set that reflection serves.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost_build::Config;
use protox::Compiler;
use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect_proto_files(&root, &mut files)?;
    files.sort();

    let mut compiler = Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    let mut descriptors = compiler.open_files(files)?.file_descriptor_set();

    Config::new()
        // `Bytes` fields are views of the buffer that a message is decoded from.
        .bytes(["."])
        // Maps keep an order, so that equal messages are written as equal bytes.
        .btree_map(["."])
        .compile_fds(descriptors.clone())?;

    // Comments went into the generated documentation; they need no space at run time.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let output = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(output, descriptors.encode_to_vec())?;
    Ok(())
}

fn collect_proto_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_proto_files(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}
