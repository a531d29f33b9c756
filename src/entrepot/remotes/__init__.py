"""Other people's machines: clients behind ports. Adapters only; imported by the worker when it first needs one."""
