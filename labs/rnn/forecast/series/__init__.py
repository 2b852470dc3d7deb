"""Series as people have them: dates, numbers and tables, read into a panel."""
