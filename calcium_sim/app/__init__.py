"""The command line, benchmarks and examples."""
