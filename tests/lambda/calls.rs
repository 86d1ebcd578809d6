//! The calls that the function made in all tests, for the test that compares its role with them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use wiremock::Request;

static CALLS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps a call, as IAM names its action, in `calls/bootstrap.txt` of the target directory.
pub(crate) fn record(request: &Request, operation: &str) {
    let mut calls = CALLS.lock().unwrap();
    if calls.insert(format!("{}:{operation}", service(request))) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("calls");
        std::fs::create_dir_all(&directory).unwrap();
        let lines: Vec<_> = calls.iter().map(|call| format!("{call}\n")).collect();
        std::fs::write(directory.join("bootstrap.txt"), lines.concat()).unwrap();
    }
}

/// The service that a request was signed for.
fn service(request: &Request) -> &str {
    let signed = request.headers["authorization"].to_str().unwrap();
    let scope = signed.split("Credential=").nth(1).unwrap();
    scope.split('/').nth(3).unwrap()
}
