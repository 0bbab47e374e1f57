"""Whom campaigns call, and whom nobody calls: lists, and the CSV files that fill them."""
