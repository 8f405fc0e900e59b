//! The warehouses' store: refuses a fence lower than one it has seen, and remembers who held what
//! when. It is a witness of its own: it trusts no lock.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

/// From `begin` to `end`, or until the connection broke.
#[derive(Debug, Clone, Serialize)]
pub struct Holding {
    pub warehouse: usize,
    pub slot: usize,
    pub fence: i64,
    pub workflow: String,
    pub worker: String,
    pub from_ms: u64,
    /// `None` while it goes on.
    pub until_ms: Option<u64>,
    /// Whether the holder said that it is done; else its connection broke.
    pub is_done: bool,
    /// How many held this warehouse when it began, itself among them.
    pub holders: usize,
}

/// A write that the store accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub warehouse: usize,
    pub slot: usize,
    pub fence: i64,
    pub workflow: String,
    pub at_ms: u64,
}

/// Everything that happened.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Record {
    pub holdings: Vec<Holding>,
    pub rows: Vec<Row>,
    /// What was refused, because somebody with a greater fence had been there.
    pub refused: usize,
}

pub struct Ledger {
    record: Arc<Mutex<Record>>,
    pub started: Instant,
}

impl Ledger {
    /// Listens, and serves in a thread of its own for as long as the program runs.
    pub fn open(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let record = Arc::new(Mutex::new(Record::default()));
        let mut clerk = Clerk {
            record: record.clone(),
            started: Instant::now(),
            customers: Vec::new(),
            highest: HashMap::new(),
        };
        let started = clerk.started;
        thread::spawn(move || {
            loop {
                clerk.serve(&listener);
                thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(Self { record, started })
    }

    pub fn record(&self) -> Record {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.clone()
    }
}

/// Serves all customers in one thread, so that what happened has one order.
struct Clerk {
    record: Arc<Mutex<Record>>,
    started: Instant,
    customers: Vec<Customer>,
    /// The highest fence of each slot of each warehouse.
    highest: HashMap<(usize, usize), i64>,
}

struct Customer {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Nothing more will come.
    is_gone: bool,
    /// The index of its holding.
    holding: Option<usize>,
}

impl Customer {
    /// Reads what is there.
    fn listen(&mut self) {
        let mut buffer = [0; 512];
        while !self.is_gone {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_gone = true,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_gone = true,
            }
        }
    }

    fn next_line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim().to_owned())
    }

    fn wants_to_begin(&self) -> bool {
        self.unread.starts_with(b"begin")
    }
}

impl Clerk {
    fn serve(&mut self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let _ = stream.set_nodelay(true);
                self.customers.push(Customer {
                    stream,
                    unread: Vec::new(),
                    is_gone: false,
                    holding: None,
                });
            }
        }
        for customer in &mut self.customers {
            customer.listen();
        }
        // A lock is granted after its last holder has left. So whoever left is seen to leave before
        // a newcomer is counted: their `end` is already there, however late it is read.
        if self.customers.iter().any(Customer::wants_to_begin) {
            for customer in &mut self.customers {
                customer.listen();
            }
        }
        for begins in [false, true] {
            for index in 0..self.customers.len() {
                if self.customers[index].wants_to_begin() == begins {
                    self.answer(index);
                }
            }
        }
        self.customers
            .retain(|customer| !(customer.is_gone && customer.holding.is_none()));
    }

    fn answer(&mut self, index: usize) {
        while let Some(line) = self.customers[index].next_line() {
            let words: Vec<&str> = line.split(' ').collect();
            let answer = match words.as_slice() {
                ["begin", warehouse, slot, fence, workflow, worker] => {
                    let numbers = (warehouse.parse(), slot.parse(), fence.parse());
                    match numbers {
                        (Ok(warehouse), Ok(slot), Ok(fence)) => {
                            self.begin(index, (warehouse, slot), fence, workflow, worker)
                        }
                        _ => "not understood".to_owned(),
                    }
                }
                ["write"] => self.write(index),
                ["end"] => {
                    self.leave(index, true);
                    "ok".to_owned()
                }
                _ => "not understood".to_owned(),
            };
            let _ = self.customers[index]
                .stream
                .write_all(format!("{answer}\n").as_bytes());
        }
        if self.customers[index].is_gone {
            self.leave(index, false);
        }
    }

    fn begin(
        &mut self,
        index: usize,
        place: (usize, usize),
        fence: i64,
        workflow: &str,
        worker: &str,
    ) -> String {
        if let Err(refusal) = self.admit(place, fence) {
            return refusal;
        }
        let from_ms = self.now();
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let others = record.holdings.iter();
        let others = others.filter(|other| other.warehouse == place.0 && other.until_ms.is_none());
        let holders = others.count() + 1;
        println!(
            "{workflow} holds warehouse-{}:{} with fence {fence} on {worker}",
            place.0, place.1
        );
        self.customers[index].holding = Some(record.holdings.len());
        record.holdings.push(Holding {
            warehouse: place.0,
            slot: place.1,
            fence,
            workflow: workflow.to_owned(),
            worker: worker.to_owned(),
            from_ms,
            until_ms: None,
            is_done: false,
            holders,
        });
        "ok".to_owned()
    }

    fn write(&mut self, index: usize) -> String {
        let Some(holding) = self.customers[index].holding else {
            return "begin first".to_owned();
        };
        let at_ms = self.now();
        let holding = {
            let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            record.holdings[holding].clone()
        };
        if let Err(refusal) = self.admit((holding.warehouse, holding.slot), holding.fence) {
            return refusal;
        }
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.rows.push(Row {
            warehouse: holding.warehouse,
            slot: holding.slot,
            fence: holding.fence,
            workflow: holding.workflow,
            at_ms,
        });
        "ok".to_owned()
    }

    fn leave(&mut self, index: usize, is_done: bool) {
        let Some(holding) = self.customers[index].holding.take() else {
            return;
        };
        let until = self.now();
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let holding = &mut record.holdings[holding];
        holding.until_ms = Some(until);
        holding.is_done = is_done;
        if !is_done {
            println!("{} was cut off on {}", holding.workflow, holding.worker);
        }
    }

    /// The rule that a store owes its holders.
    fn admit(&mut self, place: (usize, usize), fence: i64) -> Result<(), String> {
        let highest = self.highest.entry(place).or_insert(fence);
        if fence < *highest {
            let refusal = format!("refused: fence {fence} is older than {highest}");
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            record.refused += 1;
            return Err(refusal);
        }
        *highest = fence;
        Ok(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
