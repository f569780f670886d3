"""The quiet middle: values and pure machines. No await, no I/O, no clock, no environment."""
