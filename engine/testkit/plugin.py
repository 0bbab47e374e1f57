"""pytest plugin (entry point ``trunkline``): the fixtures of ``engine.testkit.fixtures``, where asyncio tests run.

It is imported with every pytest run on a machine that has Trunkline, also by people who test something else: it imports
nothing heavy, starts nothing, and is silent without pytest-asyncio.
"""

import importlib

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.register(importlib.import_module("engine.testkit.fixtures"), "trunkline-fixtures")
