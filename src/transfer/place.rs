//! From the name of a place to what keeps objects there.

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreScheme, RetryConfig};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A request that fails is repeated so often, after a tenth of a second, two tenths and so on: some seconds altogether. A cloud that cannot be reached is
/// told soon; an export or an import that has failed goes on where it was.
const RETRIES: usize = 6;

/// And not after this long.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Where objects are kept, and below which prefix.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: ObjectPath,
    /// A place on this machine.
    pub(super) dir: Option<PathBuf>,
}

pub(super) fn open(place: &str) -> Result<Opened, String> {
    let url = if place.contains("://") {
        Url::parse(place).map_err(|error| error.to_string())?
    } else {
        let dir = without_parents(Path::new(place)).map_err(|error| error.to_string())?;
        Url::from_directory_path(dir).map_err(|()| "it is no directory's path".to_owned())?
    };
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|error| error.to_string())?;
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    // Settings come from the variables that bear the cloud's name, and no others: what `ENDPOINT` or `TOKEN` says may be meant for another program.
    let text = url.as_str();
    let remote = |store: Result<Arc<dyn ObjectStore>, object_store::Error>| {
        Ok(Opened { store: store.map_err(|error| error.to_string())?, prefix: prefix.clone(), dir: None })
    };
    match scheme {
        ObjectStoreScheme::Local => {
            let dir = url.to_file_path().map_err(|()| "it is no directory's path".to_owned())?;
            let store = Arc::new(LocalFileSystem::new().with_fsync(true));
            Ok(Opened { store, prefix, dir: Some(dir) })
        }
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::from_env().with_url(text).with_retry(retry);
            remote(builder.build().map(|store| Arc::new(store) as _))
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(text).with_retry(retry);
            remote(builder.build().map(|store| Arc::new(store) as _))
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(text).with_retry(retry);
            remote(builder.build().map(|store| Arc::new(store) as _))
        }
        ObjectStoreScheme::Memory | ObjectStoreScheme::Http | _ => Err(format!("nothing is kept at {}:", url.scheme())),
    }
}

/// The same directory without `..`, which no object's name may have. What is before a `..` may be a link to elsewhere.
fn without_parents(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        if component != Component::ParentDir {
            plain.push(component);
            continue;
        }
        plain = match plain.canonicalize() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            real => real.unwrap_or(plain),
        };
        plain.pop();
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(place: &str) -> String {
        open(place).map(|opened| opened.prefix.to_string()).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    #[test]
    fn places_are_what_their_names_say() {
        assert_eq!(prefix("s3://bucket/a/b"), "a/b");
        assert_eq!(prefix("s3://bucket"), "");
        assert_eq!(prefix("gs://bucket/a/b/"), "a/b");
        assert_eq!(prefix("abfss://container@account.dfs.core.windows.net/a/b"), "a/b");
        assert_eq!(prefix("file:///srv/backup"), "srv/backup");
        assert_eq!(prefix("/srv/back up/ä"), "srv/back up/ä");
        let relative = open("backup").expect("a directory");
        assert_eq!(relative.dir, Some(std::env::current_dir().expect("there is one").join("backup")));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let real = dir.path().canonicalize().expect("it is there");
        std::fs::create_dir_all(real.join("a/b")).expect("a writable directory");
        std::os::unix::fs::symlink(real.join("a/b"), real.join("link")).expect("a writable directory");
        for (given, meant) in
            [("../backup", "backup"), ("../a/./b/../c", "a/c"), ("../link/../c", "a/c"), ("../none/../c", "c")]
        {
            let place = real.join("a").join(given);
            let opened = open(place.to_str().expect("plain text")).expect("a directory");
            assert_eq!(opened.dir, Some(real.join(meant)), "{given}");
        }
    }

    #[test]
    fn what_keeps_nothing_is_no_place() {
        for nowhere in
            ["memory:///a", "http://127.0.0.1/a", "gopher://a/b", "://", "s3://", "az://container/a", "gs://"]
        {
            assert!(open(nowhere).is_err(), "{nowhere}");
        }
    }
}
