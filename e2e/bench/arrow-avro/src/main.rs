//! Decodes Confluent-framed Avro values with arrow-avro: `arrow-avro-bench SCHEMA VALUES` (files: the schema's JSON; the
//! framed values, one behind the other) makes ready, says {"ready":true}, then runs a round for each line that comes and
//! answers with a line of JSON.

use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use std::error::Error;
use std::io::BufRead;

const BATCH_ROWS: usize = 8192;

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let schema = std::fs::read_to_string(&arguments[1])?;
    let values = std::fs::read(&arguments[2])?;
    let id = u32::from_be_bytes(values[1..5].try_into()?);
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id), AvroSchema::new(schema))?;
    println!("{{\"ready\":true}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let begin = cpu_seconds();
        let mut decoder = ReaderBuilder::new()
            .with_batch_size(BATCH_ROWS)
            .with_writer_schema_store(store.clone())
            .build_decoder()?;
        let (mut at, mut rows) = (0, 0);
        while at < values.len() {
            let consumed = decoder.decode(&values[at..])?;
            at += consumed;
            if consumed == 0 || decoder.batch_is_full() || at == values.len() {
                let batch = decoder.flush()?.ok_or("nothing could be decoded")?;
                rows += std::hint::black_box(batch).num_rows();
            }
        }
        let seconds = cpu_seconds() - begin;
        println!("{{\"cpuSeconds\":{seconds},\"records\":{rows},\"bytes\":{}}}", values.len());
    }
    Ok(())
}
