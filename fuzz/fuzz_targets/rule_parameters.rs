//! Bytes as rule parameters.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| imdsv2_config_rule::cli::fuzz_targets::rule_parameters(input));
