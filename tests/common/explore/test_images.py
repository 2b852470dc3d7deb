"""What is measured of pictures."""

import numpy as np

from common.explore.images import find_deviation


def test_equal_values_deviate_by_nothing():
    values = np.full(7, 0.7)
    assert values.std() > 0  # the mean is not exact
    assert find_deviation(values) == 0
    assert find_deviation(np.array([1.0, 3.0])) == 1
