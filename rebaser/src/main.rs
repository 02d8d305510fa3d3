//! The program `rebaser`.

fn main() -> std::process::ExitCode {
    platform::entry::main("rebaser", rebaser::command::command)
}
