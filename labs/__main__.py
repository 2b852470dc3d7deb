"""`python -m labs`: the labs there are, and what to type first."""

import click

LABS = {
    "autoencoder": ("autoencoders and VAEs: compress, reconstruct, map the latent space", "train"),
    "classification": ("CNNs on images: train, compare with baselines, see the mistakes", "train"),
    "detection": ("YOLO and its rivals: boxes, mAP, and why a detector errs", "train"),
    "rnn": ("RNN, LSTM, GRU: sentiment, forecasts, translation, memory", "sentiment"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("lab", required=False)
def labs(lab: str | None) -> None:
    """List the labs, and what to type first."""
    if lab is not None:
        raise click.UsageError(
            f"a lab is run by its module, such as: python -m labs.{next(iter(LABS))}"
        )
    click.echo("Labs:\n")
    for name, (what, first) in LABS.items():
        click.echo(f"  {name:<16} {what}\n  {'':<16} begin with: python -m labs.{name} {first}\n")
    click.echo("Every command has --help; every lab works without a network.")


if __name__ == "__main__":
    labs(prog_name="python -m labs")
