"""Things and stuff: the job of `--task panoptic`, the sum of instances and classes of pixels."""
