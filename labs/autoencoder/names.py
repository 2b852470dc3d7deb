"""The names of the lab's models, noises and views, readable without importing torch."""

from typing import NamedTuple

MODELS: dict[str, str] = {
    "linear": "one linear layer in, one out: what it can learn is PCA",
    "dense": "layers of all pixels, narrower and narrower",
    "conv": "convolutions that halve the image, and their mirror",
    "denoising": "gives back the clean image from a noisy one (Vincent et al. 2008)",
    "sparse": "few latents are active for an image (L1, or KL of how often each is)",
    "contractive": "small changes of the image hardly move the latents (Rifai et al. 2011)",
    "vae": "latents are drawn from a distribution near a normal one (Kingma & Welling 2014)",
    "beta-vae": "a VAE that is held nearer to it (Higgins et al. 2017)",
    "conditional-vae": "a VAE that is told the class, so that one can be drawn (Sohn et al. 2015)",
}
VARIATIONAL = ("vae", "beta-vae", "conditional-vae")
NOISES = ("gaussian", "salt-and-pepper", "masking")


class ViewName(NamedTuple):
    """A view of a run."""

    function: str  # "module:function" that makes it
    needs: tuple[str, ...] = ()  # what a run must have for it: classes, prior, anomalies
    unasked: bool = True  # whether every such run's report has it


VIEWS: dict[str, ViewName] = {  # in the order of the report
    "reconstruct": ViewName("labs.autoencoder.views.reconstructions:view"),
    "latents": ViewName("labs.autoencoder.views.latent_map:view"),
    "placed": ViewName("labs.autoencoder.views.latent_map:place", (), unasked=False),
    "codes": ViewName("labs.autoencoder.views.sparsity:view"),
    "probe": ViewName("labs.autoencoder.views.probe:view", ("classes",)),
    "neighbours": ViewName("labs.autoencoder.views.retrieval:view", ("classes",)),
    "cluster": ViewName("labs.autoencoder.views.clusters:view", ("classes",)),
    "posterior": ViewName("labs.autoencoder.views.posterior:view", ("prior",)),
    "interpolate": ViewName("labs.autoencoder.views.traversals:interpolate"),
    "traverse": ViewName("labs.autoencoder.views.traversals:traverse"),
    "sample": ViewName("labs.autoencoder.views.samples:view", ("prior",)),
    "anomalies": ViewName("labs.autoencoder.views.anomalies:view", ("anomalies",)),
}
