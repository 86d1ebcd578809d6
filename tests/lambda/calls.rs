//! The operations that the function calls in all tests. Another test compares them with its role.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use wiremock::Request;

static CALLS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Adds an operation, under the name of its IAM action, to `calls/bootstrap.txt` in the target directory.
pub(crate) fn record(request: &Request, operation: &str) {
    let mut calls = CALLS.lock().unwrap();
    if calls.insert(format!("{}:{operation}", service(request))) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("calls");
        std::fs::create_dir_all(&directory).unwrap();
        let lines: Vec<_> = calls.iter().map(|call| format!("{call}\n")).collect();
        std::fs::write(directory.join("bootstrap.txt"), lines.concat()).unwrap();
    }
}

/// Returns the service that a request is signed for.
fn service(request: &Request) -> &str {
    let signature = request.headers["authorization"].to_str().unwrap();
    let scope = signature.split("Credential=").nth(1).unwrap();
    scope.split('/').nth(3).unwrap()
}
