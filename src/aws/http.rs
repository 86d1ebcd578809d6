//! The HTTP client of all calls: TLS by ring, and the certificate authorities that it trusts.

use std::fmt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, HttpClientError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The timeout of a connection, which is that of the SDK.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);

/// The variables that name a file with the certificate authorities to trust, and no others. The first one that is set
/// counts (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>).
const VARIABLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];
/// The variable of a folder with certificate authorities. [`TrustStore`] reads it.
const FOLDER_VARIABLE: &str = "SSL_CERT_DIR";

/// The files in which Linux distributions keep the certificate authorities that they trust. Reading one takes a tenth of
/// the time that it takes to read the folder with a file for each.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/pki/tls/certs/ca-bundle.crt",   // Amazon Linux, Fedora
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine
    "/etc/ssl/ca-bundle.pem",             // SUSE
];

/// Returns an HTTP client that trusts the authorities in the file that `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names, or else
/// those that the operating system trusts. Clients of AWS that share it share its connections.
///
/// # Errors
/// Returns an error if the file cannot be read or contains anything that is not a certificate.
pub(super) fn client() -> Result<SharedHttpClient, HttpError> {
    let authorities = Authorities::of_environment()?;
    let connector: Arc<SharedConnector> = Arc::new(LazyLock::new(Box::new(move || authorities.connector())));
    // To decode the certificates takes as long as everything else at the start, so another thread does it meanwhile. If
    // there is none, the first call does.
    let early = Arc::clone(&connector);
    let _ = std::thread::Builder::new().spawn(move || {
        LazyLock::force(&early);
    });
    Ok(SharedHttpClient::new(OneConnector(connector)))
}

/// A connector that is made when it is needed.
type SharedConnector = LazyLock<SharedHttpConnector, Box<dyn FnOnce() -> SharedHttpConnector + Send>>;

/// A client with one connector, and so one set of trusted authorities and connections, for all services. The SDK's has
/// one for each set of timeouts, and decodes the certificates once more for each client of a service.
struct OneConnector(Arc<SharedConnector>);

impl HttpClient for OneConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        LazyLock::force(&self.0).clone()
    }
}

impl fmt::Debug for OneConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneConnector")
    }
}

/// Whom to trust.
struct Authorities {
    context: TlsContext,
    /// Whether the file is one of the operating system, which was not checked.
    is_unchecked: bool,
}

impl Authorities {
    fn of_environment() -> Result<Self, HttpError> {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        for name in VARIABLES {
            if let Some(path) = value(name).map(PathBuf::from) {
                let bundle = read(&path).map_err(|reason| HttpError::CaBundle { name, path, reason })?;
                return Ok(Self { context: context(bundle)?, is_unchecked: false });
            }
        }
        if value(FOLDER_VARIABLE).is_none()
            && cfg!(target_os = "linux")
            && let Some(bundle) = SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(path).ok())
        {
            return Ok(Self { context: context(bundle)?, is_unchecked: true });
        }
        Ok(Self { context: TlsContext::default(), is_unchecked: false })
    }

    fn connector(self) -> SharedHttpConnector {
        if !self.is_unchecked {
            return connector(self.context);
        }
        // The SDK panics at a certificate that it cannot read. It skips such a one if it finds the files itself.
        catch_unwind(|| connector(self.context)).unwrap_or_else(|_| connector(TlsContext::default()))
    }
}

fn context(bundle: Vec<u8>) -> Result<TlsContext, HttpClientError> {
    TlsContext::builder().with_trust_store(TrustStore::empty().with_pem_certificate(bundle)).build()
}

fn connector(context: TlsContext) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context);
    SharedHttpConnector::new(connector.build())
}

/// Reads a file of certificates in PEM, and checks that each can be read.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificates += 1;
        let certificate = certificate.map_err(|error| error.to_string())?;
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|error| format!("certificate {certificates} is invalid: {error}"))?;
    }
    if certificates == 0 {
        return Err("it contains no certificate in PEM format".to_owned());
    }
    Ok(pem)
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A file of certificate authorities cannot be used.
    #[error("{name}: cannot read the certificate authorities in {path}: {reason}", path = path.display())]
    CaBundle {
        /// The variable that names the file.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] HttpClientError),
}
