"""Our verbs, the feature list: commands, pure rules, use cases, job bodies.

A use case is `async def verb_noun(ctx, caller, command) -> result`. It asks for its permission itself (`access.rights`), inside
its one transaction where it writes, and raises the errors of `model.errors`. It knows no wire.
"""
