"""The page of a forecaster: drag the window over the series, and see what it foretells."""
