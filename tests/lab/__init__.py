"""What the demo, the molecule tests and the benchmarks use to watch hosts and break them."""
