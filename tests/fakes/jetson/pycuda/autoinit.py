"""Makes a context, as importing it does, and lets it go at the program's end."""

import atexit

from . import driver

driver.init()
context = driver.Device(0).make_context()
atexit.register(context.pop)
