//! Where the files and the rules of TLS are said: on the command line, or in a column of a database
//! (ovsdb-server(1), "Public Key Infrastructure Options").

use std::path::PathBuf;
use std::sync::Arc;

use ovsdb_server::remotes::{Column, Source};
use ovsdb_tls::{Choice, Files, Tls};

use crate::schemas::Side;

/// Texts as they were given: each a file's name or a rule, or `db:DATABASE,TABLE,COLUMN`, where one
/// is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSources {
    /// Where relative names of files are.
    pub folder: PathBuf,
    /// The private key's file.
    pub key: Option<String>,
    /// The certificate's file.
    pub certificate: Option<String>,
    /// The file of the authorities that are trusted.
    pub authorities: Option<String>,
    /// As long as that file is not there, it is made of what the first server shows that is called.
    pub bootstrap: bool,
    /// Authorities' certificates that are shown together with the own one.
    pub peer_authorities: Option<PathBuf>,
    /// The versions of TLS.
    pub protocols: Option<String>,
    /// The ciphers of TLS 1.2, as OpenSSL names them.
    pub ciphers: Option<String>,
    /// The ciphers of TLS 1.3.
    pub cipher_suites: Option<String>,
}

/// What was found: texts without `db:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    key: Option<String>,
    certificate: Option<String>,
    authorities: Option<String>,
    protocols: Option<String>,
    ciphers: Option<String>,
    cipher_suites: Option<String>,
}

impl TlsSources {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.certificate.is_none() && self.authorities.is_none()
    }

    /// Something is said in a database.
    pub fn is_in_databases(&self) -> bool {
        let texts = [
            &self.key,
            &self.certificate,
            &self.authorities,
            &self.protocols,
            &self.ciphers,
            &self.cipher_suites,
        ];
        let mut texts = texts.into_iter().flatten();
        texts.any(|text| Column::is_meant(text))
    }

    /// The columns that `ovn-ic-nbctl set-ssl` and `ovn-ic-sbctl set-ssl` write.
    pub fn of_database(side: Side) -> TlsSources {
        let column = |name| Some(format!("db:{},SSL,{name}", side.database()));
        TlsSources {
            key: column("private_key"),
            certificate: column("certificate"),
            authorities: column("ca_cert"),
            protocols: column("ssl_protocols"),
            ciphers: column("ssl_ciphers"),
            ..TlsSources::default()
        }
    }

    /// Looks the texts up. What is wrong with them is said in `errors`.
    pub fn resolve(&self, source: &dyn Fn(&str) -> Source, errors: &mut Vec<String>) -> Resolved {
        let mut find = |text: &Option<String>| {
            let text = text.as_ref()?;
            if !Column::is_meant(text) {
                return Some(text.clone());
            }
            let column = Column::parse(text);
            let found = column.and_then(|column| column.string(&source(column.database())));
            found.unwrap_or_else(|error| {
                errors.push(error);
                None
            })
        };
        Resolved {
            key: find(&self.key),
            certificate: find(&self.certificate),
            authorities: find(&self.authorities),
            protocols: find(&self.protocols),
            ciphers: find(&self.ciphers),
            cipher_suites: find(&self.cipher_suites),
        }
    }

    /// Loads what was found; nothing as long as one of the three files is not named. Blocks.
    ///
    /// # Errors
    /// Why the files or rules cannot be used.
    pub fn load(&self, found: &Resolved) -> Result<Option<Arc<Tls>>, String> {
        let (Some(key), Some(certificate), Some(authorities)) =
            (&found.key, &found.certificate, &found.authorities)
        else {
            return Ok(None);
        };
        let files = Files {
            key: self.folder.join(key),
            certificate: self.folder.join(certificate),
            authorities: self.folder.join(authorities),
            shown: self
                .peer_authorities
                .as_ref()
                .map(|path| self.folder.join(path)),
            bootstrap: self.bootstrap,
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let choice = Choice::parse(
            &text(&found.protocols),
            &text(&found.ciphers),
            &text(&found.cipher_suites),
        );
        for warning in &choice.warnings {
            tracing::warn!("{warning}");
        }
        let tls = Tls::load_with(files, choice).map_err(|error| error.to_string())?;
        Ok(Some(tls))
    }
}
