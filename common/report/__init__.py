"""Reports: one HTML file, and the plots in it."""
