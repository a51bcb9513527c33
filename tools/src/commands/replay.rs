//! `shingle replay`.

use crate::args::ReplayArgs;
use crate::output::Output;

pub(crate) fn run(_args: &ReplayArgs, _out: &mut Output) -> anyhow::Result<()> {
    anyhow::bail!("pending")
}
