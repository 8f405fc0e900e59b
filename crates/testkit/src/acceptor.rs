//! A listening socket that can be closed and opened again on the same port, with a thread for each connection.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{error::Result, port::Port};

type Serve = dyn Fn(TcpStream) + Send + Sync;

/// Accepts connections and serves each on a thread of its own, until dropped.
pub(crate) struct Acceptor {
    port: Port,
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Shared {
    serve: Box<Serve>,
    accepted: AtomicUsize,
    open: Mutex<Vec<Weak<TcpStream>>>,
}

impl Acceptor {
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Result<Self> {
        let shared = Shared {
            serve: Box::new(serve),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
        };
        let port = Port::reserve()?;
        let acceptor = Self {
            port,
            shared: Arc::new(shared),
            listening: Mutex::new(None),
        };
        acceptor.open()?;
        Ok(acceptor)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Accepts connections; does nothing when it already does.
    pub(crate) fn open(&self) -> Result<()> {
        let mut listening = lock(&self.listening);
        if listening.is_some() {
            return Ok(());
        }
        let listener = self.port.listen()?;
        let closing = Arc::new(AtomicBool::new(false));
        let (shared, flag) = (self.shared.clone(), closing.clone());
        let thread = thread::spawn(move || accept(&listener, &shared, &flag));
        *listening = Some(Listening { closing, thread });
        Ok(())
    }

    /// Refuses connections from now on; existing ones go on.
    pub(crate) fn close(&self) {
        if let Some(Listening { closing, thread }) = lock(&self.listening).take() {
            closing.store(true, Ordering::SeqCst);
            // The thread is blocked in accept and looks at the flag only when somebody knocks.
            let _ = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1));
            let _ = thread.join();
        }
    }

    /// Closes the connections that are open now, from the client's view by the server's hand.
    pub(crate) fn cut(&self) {
        for connection in lock(&self.shared.open)
            .drain(..)
            .filter_map(|connection| connection.upgrade())
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// How many connections were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are open now.
    pub(crate) fn open_now(&self) -> usize {
        lock(&self.shared.open)
            .iter()
            .filter(|connection| connection.strong_count() > 0)
            .count()
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.close();
        self.cut();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, closing: &AtomicBool) {
    loop {
        let connection = listener.accept();
        if closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok((connection, _)) = connection else {
            continue;
        };
        if register(connection, shared).is_err() {
            // The peer is gone already, or the process is out of file descriptors: nothing to serve.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn register(connection: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let handle = Arc::new(connection.try_clone()?);
    shared.accepted.fetch_add(1, Ordering::SeqCst);
    {
        let mut open = lock(&shared.open);
        open.retain(|connection| connection.strong_count() > 0);
        open.push(Arc::downgrade(&handle));
    }
    let shared = shared.clone();
    thread::Builder::new().spawn(move || {
        (shared.serve)(connection);
        // Other clones of the socket would otherwise keep it open after the conversation has ended.
        let _ = handle.shutdown(Shutdown::Both);
    })?;
    Ok(())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
