"""Menus: written as YAML (docs/menus.md), walked by one runner in a call and in the terminal."""
