//! The real file system with a switch for each thing that can fail, and a gate that writes wait at.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ovsdb_log::{Access, Disk, FileSystem, LogFile, Replace};

#[derive(Debug, Default)]
pub struct Switches {
    pub full: AtomicBool,
    pub sync_fails: AtomicBool,
    pub rename_fails: AtomicBool,
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Switches {
    pub fn set(switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::SeqCst);
    }

    /// Lets no write through.
    pub fn hold(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub fn let_go(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock().unwrap();
        while *closed {
            closed = self.opened.wait(closed).unwrap();
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct FailingDisk(pub Arc<Switches>);

#[derive(Debug)]
struct FailingFile(Arc<dyn LogFile>, Arc<Switches>);

impl FailingDisk {
    fn file(&self, file: io::Result<Arc<dyn LogFile>>) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(FailingFile(file?, self.0.clone())))
    }
}

impl FileSystem for FailingDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn LogFile>> {
        self.file(Disk.open(path, access))
    }

    fn create_new(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        self.file(Disk.create_new(path, like))
    }

    fn rename(&self, from: &Path, to: &Path, replace: Replace) -> io::Result<()> {
        if self.0.rename_fails.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Disk.rename(from, to, replace)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Disk.exists(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}

impl LogFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.1.pass();
        // Where there is room already a full disk takes writes.
        if self.1.full.load(Ordering::SeqCst) && offset + bytes.len() as u64 > self.0.len()? {
            let part = bytes.len() / 2;
            self.0.write_at(&bytes[..part], offset)?;
            return Err(io::Error::from_raw_os_error(28));
        }
        self.0.write_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.1.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
