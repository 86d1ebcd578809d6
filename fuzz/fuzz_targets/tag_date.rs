//! Bytes as the value of an exemption tag.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| imdsv2_config_rule::cli::fuzz_targets::tag_date(input));
