"""The search for the int8 scheme that is fastest on this machine and costs no accuracy."""
