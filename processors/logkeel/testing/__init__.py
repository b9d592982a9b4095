"""What tests of applications and of logkeel itself use: a real broker, a proxy before it, the in-memory driver.

Importing this package imports nothing heavy: pytest loads its plugin in every run of a project that has logkeel
installed. Each part is a module of its own: `brokers`, `proxy`, `pytest_plugin`.
"""
