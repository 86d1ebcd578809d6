//! Bytes as a CloudFormation template.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| imdsv2_config_rule::cli::fuzz_targets::template(input));
