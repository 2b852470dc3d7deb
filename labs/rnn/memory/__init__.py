"""What a cell keeps: the adding and copy tasks, how far a gradient reaches, the gates as seen."""
