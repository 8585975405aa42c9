"""Makes a context, as importing it does."""

from . import driver

driver.init()
context = driver.Device(0).make_context()
