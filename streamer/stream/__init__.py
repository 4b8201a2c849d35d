"""From samples to closed windows: time, order, holes and the grid. Pure: no I/O, no wall clock."""
