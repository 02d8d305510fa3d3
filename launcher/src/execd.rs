//! exec.d: programs of layers that set variables at launch (BPL-024 to BPL-030, LCH-017, LCH-018).

use std::io::Read as _;
use std::path::Path;
use std::process::ExitStatus;

use crate::decode::{self, Table};
use crate::env::Env;
use crate::error::{Context as _, Error, Result};
use crate::exec::{self, Program};
use crate::layers::{self, Layers};

/// Runs the programs of all layers, each one in the environment that the ones before have left.
pub(crate) fn run_all(layers: Layers<'_>, env: &mut Env) -> Result<()> {
    for of_buildpack in layers.by_buildpack() {
        for layer in of_buildpack? {
            for dir in layers.kind(&layer, "exec.d") {
                for program in layers::files_in(&dir)? {
                    run(&program, env)?;
                }
            }
        }
    }
    Ok(())
}

fn run(path: &Path, env: &mut Env) -> Result<()> {
    let shown = path.display();
    let output = output_of(path, env).context(format_args!(
        "failed to execute exec.d file at path '{shown}'"
    ))?;
    let variables = decode::document(&output, variables).context(format_args!(
        "failed to decode output from exec.d file at path '{shown}'"
    ))?;
    for (name, value) in variables {
        env.set(name, value);
    }
    Ok(())
}

/// Returns what a program writes to descriptor 3, until nobody has it open any more (BPL-029).
fn output_of(path: &Path, env: &Env) -> Result<Vec<u8>> {
    let (mut reader, writer) = std::io::pipe().context("failed to create pipe")?;
    let mut child = Program::new(path, [path], env)
        .and_then(|program| exec::spawn_with_result(program, writer))
        .context(format_args!("fork/exec {shown}", shown = path.display()))?;
    let mut output = Vec::new();
    let read = reader.read_to_end(&mut output);
    let status = child.wait()?;
    if !status.success() {
        return Err(Error::new(describe(status)));
    }
    read.context("failed to read output")?;
    Ok(output)
}

fn describe(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

/// Reads the output: a flat table of texts.
fn variables(table: Table<'_>) -> Result<Vec<(String, String)>> {
    table
        .fields()
        .map(|field| Ok((field.key().to_owned(), field.string()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_a_flat_table_of_texts() {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        for (output, expected) in [
            ("", Some(vec![])),
            ("\n# nothing\n", Some(vec![])),
            (
                "A = 'a'\nb = \"x\\ny\"\n'C.D' = ''",
                Some(vec![("A", "a"), ("C.D", ""), ("b", "x\ny")]),
            ),
            ("A = 'a'\na = 'b'", Some(vec![("A", "a"), ("a", "b")])),
            ("A = 1", None),
            ("A = true", None),
            ("A = ['a']", None),
            ("A.b = 'a'", None),
            ("[A]\nb = 'a'", None),
            ("=bad", None),
            ("A = 'a'\nA = 'b'", None),
        ] {
            let got = decode::document(output.as_bytes(), variables).ok();
            assert_eq!(
                got,
                expected.map(|pairs| pairs.into_iter().map(pair).collect()),
                "{output}"
            );
        }
    }
}
