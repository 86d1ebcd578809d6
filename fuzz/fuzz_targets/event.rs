//! Bytes as the payload of an event of AWS Config.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| imdsv2_config_rule::cli::fuzz_targets::event(input));
