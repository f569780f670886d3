"""What tests/test_survival.py is made of."""
