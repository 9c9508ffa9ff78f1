#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ovsdb_fuzzing::passed_on::run(data));
