//! Bytes as a Terraform plan or state.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| imdsv2_config_rule::cli::fuzz_targets::plan(input));
