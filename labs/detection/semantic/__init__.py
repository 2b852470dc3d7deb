"""The class of each pixel: data, losses, figures, baselines and report of `--task semantic`."""
