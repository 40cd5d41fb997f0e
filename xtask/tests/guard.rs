//! The promise that no process is left behind rests on the guard: what it starts ends with the pipe.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn guarded(script: &str) -> io::Result<Child> {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["guard", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Starts a program that starts another; returns the guard and the numbers of both.
fn guarded_family(script: &str) -> io::Result<(Child, Vec<String>)> {
    let mut guard = guarded(script)?;
    let stdout = guard.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let numbers: io::Result<Vec<String>> = BufReader::new(stdout).lines().take(2).collect();
    Ok((guard, numbers?))
}

/// A process that has ended but was not waited for by its new parent counts as ended.
fn is_alive(number: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(number).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

fn assert_all_end(numbers: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while numbers.iter().any(|number| is_alive(number)) {
        assert!(Instant::now() < deadline, "{numbers:?} live on");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_end_of_the_pipe_ends_the_whole_family() {
    let (mut guard, numbers) = guarded_family("echo $$; sleep 300 & echo $!; wait").unwrap();
    assert!(numbers.iter().all(|number| is_alive(number)));
    drop(guard.stdin.take());
    assert_all_end(&numbers);
    assert!(!guard.wait().unwrap().success());
}

#[test]
fn a_program_that_ignores_sigterm_ends_too() {
    let (mut guard, numbers) =
        guarded_family("trap '' TERM; echo $$; sleep 300 & echo $!; wait; wait").unwrap();
    drop(guard.stdin.take());
    assert_all_end(&numbers);
    assert!(!guard.wait().unwrap().success());
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let (mut guard, numbers) = guarded_family("echo $$; sleep 300 & echo $!; exit 3").unwrap();
    let pipe = guard.stdin.take(); // `wait` would let go of it
    assert_eq!(guard.wait().unwrap().code(), Some(3), "the program's own");
    drop(pipe);
    assert_all_end(&numbers);
}

#[test]
fn a_program_that_is_not_there_is_reported_as_a_shell_does() {
    let status = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["guard", "--", "no-such-program-anywhere"])
        .stdin(Stdio::piped())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(127));
}
