//! `slipway completion`: what a shell needs to complete the commands.

use std::io::Write;
use std::process::ExitCode;

use clap_complete::Shell;

/// Print a script that completes commands and flags in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(slipway completion bash)                                    # in ~/.bashrc
  slipway completion zsh > \"${fpath[1]}/_slipway\"                      # once
  slipway completion fish > ~/.config/fish/completions/slipway.fish    # once")]
pub(crate) struct Args {
    /// Shell that the script is for
    #[arg(value_enum, default_value_t = Shell::Bash)]
    shell: Shell,
    /// The same, as pack has it
    #[arg(
        long = "shell",
        short,
        value_name = "SHELL",
        conflicts_with = "shell",
        hide = true
    )]
    flag: Option<Shell>,
}

/// Prints the script for `command`, the whole of slipway.
pub(crate) fn run(
    args: &Args,
    mut command: clap::Command,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let shell = args.flag.unwrap_or(args.shell);
    // Not straight to `out`: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "slipway", &mut script);
    out.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
