//! What only the operating system knows of the process.

/// The process in numbers. Reading them costs system calls, so only `INFO` and the like do.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// The most that was ever resident, in bytes.
    pub resident_bytes_peak: u64,
    /// Memory of the machine, in bytes.
    pub machine_bytes: u64,
    /// Processor time spent in the kernel, in milliseconds.
    pub cpu_system_ms: u64,
    /// Processor time spent in the program, in milliseconds.
    pub cpu_user_ms: u64,
    /// System, release and processor.
    pub system: String,
    /// The program's file.
    pub executable: String,
}
