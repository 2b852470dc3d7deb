"""Deep-learning labs; `python -m labs` lists them."""

import common as common
